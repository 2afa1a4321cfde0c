"""`codemix ledger watch`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result, note
from codemix_cli.reading import workspace_here
from codemix_cli.watch_text import told_line, told_watch

if TYPE_CHECKING:
    from ledger.watching import RunWatch, Snapshot


@click.command(cls=Command, example="codemix ledger watch")
@click.argument("run", required=False)
@click.pass_context
def command(ctx: click.Context, run: str | None) -> Result:
    """Follow a run while it goes on.

    RUN is the beginning of its folder under `.codemix/runs`, or the name of its
    experiment; without it, the only run that is going on. Ends with the run, or by
    Ctrl-C, which does nothing to the run. With `--json`, one look.
    """
    from ledger.store import Ledger
    from ledger.watching import RunWatch, choose_run, snapshot_json

    workspace = workspace_here()
    objects = Ledger(workspace / ".codemix" / "ledger").objects
    watch = RunWatch(choose_run(workspace, run), objects)
    now = watch.look()
    is_one_look = ctx.meta["codemix.json"] or ctx.meta["codemix.quiet"]
    if not now.is_over and not is_one_look:
        now = _follow(watch, now)
    entry = now.entry
    return Result(
        data=snapshot_json(now),
        text=told_watch(now),
        next_command=None if entry is None else f"codemix ledger show {entry[:12]}",
    )


def _follow(watch: RunWatch, now: Snapshot) -> Snapshot:
    """Show a run until it ends or somebody has seen enough."""
    from ledger.watching import POLL_SECONDS

    with _screen() as show:
        try:
            show(now)
            while not now.is_over:
                time.sleep(POLL_SECONDS)
                now = watch.look()
                show(now)
        except KeyboardInterrupt:
            pass
    return now


@contextmanager
def _screen() -> Iterator[Callable[[Snapshot], None]]:
    """Yield what draws a run: anew on a terminal, else a line where it has moved on."""
    if not sys.stderr.isatty():
        last: list[int] = []

        def tell(now: Snapshot) -> None:
            if last != [now.unix_ms]:
                last[:] = [now.unix_ms]
                note(told_line(now))

        yield tell
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    # Gone at the end: the result says the same on stdout. Rich stands in for stdout
    # otherwise, and does not say what it can print.
    console = Console(stderr=True)
    with Live(
        console=console, transient=True, auto_refresh=False, redirect_stdout=False
    ) as live:
        yield lambda now: live.update(Text(told_watch(now)), refresh=True)
