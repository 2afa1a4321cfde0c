"""The command table. `codemix --help` reads this file and no command's.

A command is one file under `codemix_cli/commands/`: it parses, calls one library
function and returns a `Result`. What is printed, and which exit code, is decided in
`codemix_cli/output.py`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click

from codemix_cli.output import report_errors
from specs.version import VERSION

# In the order in which one meets them: from an empty folder to a ledger entry and back.
COMMANDS = {
    "init": "Make a workspace with a starter spec that runs.",
    "validate": "Check spec files, every problem in one pass.",
    "plan": "Say what a spec comes to: steps, tokens, parameters, costs.",
    "pin": "Pin every byte that a spec names, in its lock.",
    "prepare": "Tokenise the pinned sources of a spec.",
    "data": "Look at the data of a spec, and make data sets.",
    "batch": "Show what the model sees at one step.",
    "run": "Train, score and record the experiment of a spec.",
    "study": "Run the specs of a folder, each shared stage once.",
    "report": "Show what a study found, with intervals, claims and sources.",
    "diff": "Say how specs, entries and bundles differ, in meaning.",
    "eval": "Score a checkpoint with suites of one's choice, or again.",
    "ledger": "Read, check and deliver what was recorded.",
    "reproduce": "Rebuild a ledger entry and compare, step by step.",
    "export": "Write a trained model for other programs.",
    "schema": "Print the JSON Schema of the spec language.",
    "completion": "Print what teaches a shell to complete what is typed.",
    "doctor": "Say what is here, and what is missing to run a spec.",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def __init__(
        self, *args: Any, table: Mapping[str, str], folder: str, **kwargs: Any
    ) -> None:
        """Take a group's arguments and its commands.

        Args:
            *args: As `click.Group` has them.
            table: Name of the command -> its line in the help.
            folder: Package that holds a module per command, named like it; the
                command is its attribute `command`.
            **kwargs: As `click.Group` has them.
        """
        super().__init__(*args, **kwargs)
        self.table = table
        self.folder = folder

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"{self.folder}.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is nearly one is told so."""
        near = difflib.get_close_matches(args[0], self.table, n=1)
        if near and args[0] not in self.table:
            ctx.fail(f"no such command {args[0]!r}: did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an import that fails is reported like any other error."""
        with report_errors():
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    folder="codemix_cli.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--pdb", is_flag=True, help="Open the debugger where codemix crashes.")
@click.version_option(VERSION, message="codemix %(version)s")
@click.pass_context
def cli(ctx: click.Context, pdb: bool) -> None:
    """Pre-train language models in stages, on mixtures of code and text.

    One file says everything; the ledger proves what came of it, bit for bit.
    Start with: codemix init my-study
    """
    ctx.meta["codemix.pdb"] = pdb


if __name__ == "__main__":
    cli(prog_name="codemix")
