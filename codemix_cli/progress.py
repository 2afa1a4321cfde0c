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

from codemix_cli.output import note, tell_end
from codemix_cli.wording import duration, scaled

if TYPE_CHECKING:
    from rich.progress import TaskID

    from evals.judging.panel import JudgingListener, JudgingProgress
    from runtime.progress import (
        Listener,
        Listeners,
        Progress,
        TrainingListener,
        TrainingProgress,
    )

LINES_PER_TASK = 20
"""At most, but for long tasks, which say something every `MAX_SILENT_SECONDS`."""
MIN_SILENT_SECONDS = 1.0
MAX_SILENT_SECONDS = 30.0


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


def run_listeners(meter: Meter) -> Listeners:
    """Return everything that `run` and `reproduce` report to."""
    from runtime.progress import Listeners

    return Listeners(
        progress=listener(meter),
        training=training_listener(meter),
        warn=note,
        tell=tell_end,
    )


def training_listener(meter: Meter) -> TrainingListener:
    """Return the callback that training reports its steps to."""
    # A step that is not logged has no loss; the last one says more than nothing.
    last = {"loss": "", "pace": ""}

    def listen(progress: TrainingProgress) -> None:
        if progress.loss is not None:
            last["loss"] = f"loss {progress.loss:.4f}"
        if progress.tokens_per_second is not None:
            last["pace"] = f"{scaled(round(progress.tokens_per_second))} tokens/s"
        step = f"step {progress.step:,} of {progress.num_steps:,}"
        parts = [f"stage {progress.stage}", step, last["loss"], last["pace"]]
        note = "  ".join(part for part in parts if part)
        meter.show("train", progress.step, progress.num_steps, note)

    return listen


def judging_listener(meter: Meter) -> JudgingListener:
    """Return the callback that a judge's answers are reported to."""

    def listen(progress: JudgingProgress) -> None:
        meter.show("judge", progress.done, progress.total, f"{progress.calls:,} asked")

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
        if done >= total:
            return True
        silent = now - last_time
        is_far = (done - last_done) * LINES_PER_TASK >= total
        return silent >= (MIN_SILENT_SECONDS if is_far else MAX_SILENT_SECONDS)

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
