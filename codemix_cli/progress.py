"""How far long work is, on stderr: a moving bar on a terminal, lines elsewhere.

Library functions are handed a plain callback and know nothing of this.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from codemix_cli.wording import duration

if TYPE_CHECKING:
    from rich.progress import TaskID

    from runtime.progress import Listener, Progress

SECONDS_BETWEEN_LINES = 30.0
LINES_PER_TASK = 20


class Meter(Protocol):
    """Something that shows how far tasks are."""

    def show(self, task: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units of a task are done; called often."""


@contextmanager
def open_meter() -> Iterator[Meter]:
    """Open the meter that fits: none if quiet, a bar on a terminal, lines elsewhere."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get("codemix.quiet"):
        yield NoMeter()
    elif sys.stderr.isatty():
        with _open_bars() as bars:
            yield bars
    else:
        yield LineMeter()


def listener(meter: Meter) -> Listener:
    """Return the callback that pin and prepare report to."""

    def listen(progress: Progress) -> None:
        documents = progress.documents
        note = f"{documents:,} documents" if documents else ""
        meter.show(progress.task, progress.done_bytes, progress.total_bytes, note)

    return listen


class NoMeter:
    """Shows nothing."""

    def show(self, task: str, done: int, total: int, note: str = "") -> None:
        """Show nothing."""


class LineMeter:
    """A line at the start and the end of a task, and now and then between."""

    def __init__(self) -> None:
        """Start with no task."""
        self._task = ""
        self._first = (0, 0.0)
        self._last = (0, 0.0)

    def show(self, task: str, done: int, total: int, note: str = "") -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        if task != self._task:
            self._task, self._first = task, (done, now)
        elif not self._is_due(done, total, now):
            return
        self._last = (done, now)
        share = f"{100 * done / total:.0f}%" if total else "100%"
        parts = [task, share, note, self._left(done, total, now)]
        click.echo("  ".join(part for part in parts if part), err=True)

    def _is_due(self, done: int, total: int, now: float) -> bool:
        last_done, last_time = self._last
        if done == last_done:
            return False
        return (
            done >= total
            or (done - last_done) * LINES_PER_TASK >= total
            or now - last_time >= SECONDS_BETWEEN_LINES
        )

    def _left(self, done: int, total: int, now: float) -> str:
        first_done, start = self._first
        # What was done before this process started says nothing about its pace.
        if done <= first_done or done >= total:
            return ""
        seconds = (now - start) / (done - first_done) * (total - done)
        return f"{duration(seconds)} left"


@contextmanager
def _open_bars() -> Iterator[Meter]:
    from rich import progress
    from rich.console import Console

    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    ) as bars:
        tasks: dict[str, TaskID] = {}

        class _Bars:
            def show(self, task: str, done: int, total: int, note: str = "") -> None:
                if task not in tasks:
                    tasks[task] = bars.add_task(task, total=total, note=note)
                bars.update(tasks[task], completed=done, total=total, note=note)

        yield _Bars()
