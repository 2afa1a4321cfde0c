"""A study that is going on: a table on a terminal, a line per event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from codemix_cli.output import note, printable, table
from codemix_cli.progress import listener, open_meter
from codemix_cli.wording import counted, duration

if TYPE_CHECKING:
    from runtime.study.events import Event
    from runtime.study.looking import Row, StudyLook
    from runtime.study.ready import ReadyStudy
    from runtime.study.running import StudyEnded, StudyListeners

MOST_ROWS = 40
"""Of a table that is drawn again and again; what waits is left out first."""


def told_look(look: StudyLook) -> str:
    """Tell how far a study is, a row per job that is worth one."""
    rows = [_cells(row) for row in _worth_a_row(look.rows)]
    over = sum(row.state == "done" for row in look.rows)
    told = f"{over} of {counted(len(look.rows), 'job')} done"
    hidden = len(look.rows) - len(rows)
    told += f", {hidden} not shown" if hidden else ""
    if look.left_seconds is not None:
        told += f"  about {duration(look.left_seconds)} left"
    return f"{table([_HEADER, *rows], right=[2, 3])}\n{told}"


def told_event(event: Event) -> str:
    """Tell what happened in one line."""
    told = f"{event.job}  {event.state}"
    if event.state == "blocked":
        return f"{told} by {event.reason}"
    if event.reason:
        told += f": {event.reason}"
    is_seen = event.state in ("running", "failed")
    return f"{told}  ({event.log})" if is_seen and event.log else told


def told_ready(study: ReadyStudy) -> str:
    """Tell what is going to be run."""
    graph = study.graph
    steps = sum(job.num_steps for job in study.jobs.values())
    return (
        f"study {study.name}  {counted(len(graph.members), 'experiment')}, "
        f"{counted(len(study.jobs), 'job')}, {counted(steps, 'step')} "
        f"in place of {graph.alone.steps:,}"
    )


def told_ended(ended: StudyEnded) -> str:
    """Tell what a study came to: the entries, and what failed."""
    rows = [
        [name, ended.entries[name][:12] if name in ended.entries else "-"]
        for name in ended.study.graph.members
    ]
    failed = []
    for row in ended.rows:
        if row.state == "failed":
            log = ended.study.log(ended.study.jobs[row.job])
            failed.append(f"{row.job} failed: {row.reason}\n  log: {log}")
        elif row.state == "blocked":
            failed.append(f"{row.job} is blocked by {row.reason}")
    entries = table([["experiment", "entry"], *rows])
    return "\n\n".join([entries, "\n".join(failed)] if failed else [entries])


@contextmanager
def study_listeners() -> Iterator[StudyListeners]:
    """Yield who shows a study: a meter while data is made ready, then its jobs."""
    from runtime.study.running import StudyListeners

    show: Callable[[StudyLook], None] = _show_nothing
    tell: Callable[[Event], None] = _show_nothing

    with ExitStack() as screen:
        meter = screen.enter_context(open_meter())

        def begin(study: ReadyStudy) -> None:
            nonlocal show, tell
            screen.close()
            note(told_ready(study))
            show, tell = screen.enter_context(_open_screen())

        yield StudyListeners(
            progress=listener(meter),
            ready=begin,
            event=lambda event: tell(event),
            look=lambda look: show(look),
        )


def _show_nothing(_: object) -> None:
    """Show nothing."""


@contextmanager
def _open_screen() -> Iterator[
    tuple[Callable[[StudyLook], None], Callable[[Event], None]]
]:
    """Yield what shows a look, and what tells an event."""
    context = click.get_current_context(silent=True)
    is_quiet = context is not None and context.meta.get("codemix.quiet")
    if is_quiet or not sys.stderr.isatty():
        yield lambda _: None, lambda event: note(told_event(event))
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)

    def tell(event: Event) -> None:
        # Above the table, which is gone at the end.
        if event.reason and event.state in ("failed", "stopped"):
            console.print(Text(printable(told_event(event))), soft_wrap=True)

    with Live(
        console=console, transient=True, auto_refresh=False, redirect_stdout=False
    ) as live:
        yield (
            lambda look: live.update(Text(told_look(look)), refresh=True),
            tell,
        )


_HEADER = ["job", "state", "step", "", "loss", "left"]
_SHOWN_FIRST = ("running", "failed", "stopped", "blocked", "waiting", "done")


def _worth_a_row(rows: tuple[Row, ...]) -> list[Row]:
    """Leave out what says least where there are too many, and keep the order."""
    ranked = sorted(rows, key=lambda row: _SHOWN_FIRST.index(row.state))
    kept = {row.job for row in ranked[:MOST_ROWS]}
    return [row for row in rows if row.job in kept]


def _cells(row: Row) -> list[str]:
    state = row.state
    if row.is_kept:
        told = "in the ledger"
    elif state == "blocked":
        told = f"blocked by {row.reason}"
    else:
        told = state
    steps = f"{row.steps_done:,} of {row.num_steps:,}" if row.num_steps else "-"
    share = f"{100 * row.steps_done // row.num_steps}%" if row.num_steps else ""
    loss = "" if row.loss is None else f"{float(row.loss):.4f}"
    left = "" if row.left_seconds is None else duration(row.left_seconds)
    return [row.job, told, steps, share, loss, left]
