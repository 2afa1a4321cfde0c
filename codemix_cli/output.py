"""What every command prints, and its exit code.

stdout is the result: text for people or, with `--json`, exactly one object. stderr is
everything else. A command returns a `Result` or raises; nobody else prints.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from specs.errors import CodemixError, Problem

SCHEMA_VERSION = 1
"""Of the objects that `--json` prints; a change that breaks a reader raises it."""

NOTHING_WAS_RUN = {"SpecError", "InputError"}
"""Errors that come in lists, before any work."""

EXIT_NO = 1
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command found out."""

    data: Mapping[str, Any]
    """JSON types; `ok` and `schema_version` are added to it."""
    text: str
    """The same for people, without the last line's end."""
    next_command: str | None = None
    """What one would type now."""
    ok: bool = True
    """Whether the answer is yes; no is exit code 1."""
    is_told_here: bool = True
    """Whether to print it: of several processes one does."""


class Command(click.Command):
    """A command with `--json`, `-q` and `-v`, whose callback returns a `Result`."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        """Take a command's arguments and one example that can be pasted."""
        super().__init__(*args, **kwargs)
        self.example = example
        self.params += _shared_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example after the options."""
        with formatter.section("Example"):
            formatter.write(f"  {self.example}\n")

    def invoke(self, ctx: click.Context) -> None:
        """Run the callback and print what it returns or raises."""
        as_json = ctx.params.pop("as_json")
        quiet = ctx.params.pop("quiet")
        ctx.meta["codemix.quiet"] = quiet
        ctx.meta["codemix.json"] = as_json
        if ctx.params.pop("verbose"):
            _show_log()
        with report_errors(as_json=as_json):
            result = super().invoke(ctx)
            assert isinstance(result, Result)
            if not quiet and result.is_told_here:
                click.echo(_render(result, as_json=as_json))
            if not result.ok:
                ctx.exit(EXIT_NO)


@contextmanager
def report_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error into its text, or its JSON object, and its exit code."""
    try:
        yield
    except CodemixError as error:
        _print_error(type(error).__name__, error.problems, as_json=as_json)
        raise click.exceptions.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        # Every write is whole or not at all, so this holds for all commands.
        stopped = Problem(what="interrupted; it is safe to run the same command again")
        _print_error("Interrupted", [stopped], as_json=as_json)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it gets its exit code
        traceback.print_exc()
        bug = Problem(
            what=f"this is a bug in codemix ({type(error).__name__}: {error})",
            fix="report the lines above with what `codemix doctor` prints",
        )
        _print_error("Bug", [bug], as_json=as_json)
        if click.get_current_context().find_root().meta.get("codemix.pdb"):
            _debug(error)
        raise click.exceptions.Exit(EXIT_BUG) from None


def tell_end(error: CodemixError) -> None:
    """Print why this process ends, from a thread that can't raise it."""
    _print_error(type(error).__name__, error.problems, as_json=False)


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Align rows of cells in columns, two blanks apart.

    Args:
        rows: All of one length, the header among them where there is one.
        right: Columns that are numbers.

    >>> print(table([["stage", "steps"], ["text", "30"]], right=[1]))
    stage  steps
    text      30
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def paint(text: str, colour: str) -> str:
    """Colour a text on a terminal, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return text
    return click.style(text, fg=colour, bold=True)


def note(text: str) -> None:
    """Tell on stderr what is worth knowing and is neither result nor error."""
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get("codemix.quiet"):
        click.echo(printable(text), err=True)


def printable(text: str) -> str:
    """Escape what would move the cursor or colour the terminal."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        char if char in "\n\t" or char.isprintable() else ascii(char)[1:-1]
        for char in text
    )


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print one JSON object."
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Print errors alone."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Show the log as well."),
    ]


def _render(result: Result, *, as_json: bool) -> str:
    if as_json:
        return _json_object({**result.data, "ok": result.ok})
    if result.next_command is None:
        return printable(result.text)
    return printable(f"{result.text}\nnext: {result.next_command}")


def _json_object(data: Mapping[str, Any]) -> str:
    return json.dumps(
        {**data, "schema_version": SCHEMA_VERSION},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )


def _print_error(kind: str, problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        told = [
            {name: value for name, value in vars(one).items() if value is not None}
            for one in problems
        ]
        click.echo(_json_object({"error": kind, "ok": False, "problems": told}))
        return
    for problem in problems:
        click.echo(f"{paint('error:', 'red')} {printable(str(problem))}", err=True)
    if len(problems) > 1 and kind in NOTHING_WAS_RUN:
        click.echo(f"{len(problems)} problems, nothing was run", err=True)


def _show_log() -> None:
    import logging

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s"
    )


def _debug(error: Exception) -> None:
    import pdb

    pdb.post_mortem(error.__traceback__)
