"""A run seen from outside while it goes on: its journal, read as it grows.

Reads what the recorder writes and what the deliverer notes beside it, and never gets
in the way of either. A run that has ended, or whose process is gone, is seen as well.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ledger.curves import WIDTH, Points, draw_curve
from ledger.delivery import DeliveryState
from ledger.floats import float_text
from ledger.history import Event, History
from ledger.journal import Line, is_being_written, read_journal
from ledger.objects import ObjectStore
from specs.errors import InputError
from specs.plan import Plan

POLL_SECONDS = 1.0
_PACE_STEPS = 200
"""Steps that the time left is reckoned from."""


class Delivered(NamedTuple):
    """What one MLflow store has got of a run."""

    uri: str
    waiting: int
    """Lines."""
    problem: str | None


class Snapshot(NamedTuple):
    """A run at one moment."""

    run: str
    """Name of its folder."""
    name: str
    state: str
    """`running`, `gone` where the process could not say how it ended, or how it did:
    `completed`, `failed`, `interrupted`."""
    reason: str
    host: str
    pid: int
    stage: str | None
    """The last that began."""
    stages: tuple[str, ...]
    """All of the plan."""
    step: int
    """Steps done."""
    num_steps: int
    left_seconds: float | None
    """Null where nothing tells the pace."""
    loss: str | None
    """Text of a float."""
    curve: tuple[float | str | None, ...]
    """Of the loss, from the first step to the last one of the plan."""
    borders: tuple[int, ...]
    tokens_per_second: float | None
    checkpoint_step: int | None
    checkpoint_unix_ms: int | None
    """Null where it was taken over with a stage."""
    delivered: tuple[Delivered, ...]
    num_seams: int
    entry: str | None
    """Digest, once it is written."""
    unix_ms: int
    """When the last line was written."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of this process."""
        return self.state != "running"


class RunWatch:
    """Follows one journal."""

    def __init__(self, journal: Path, objects: ObjectStore) -> None:
        """Prepare to read.

        Args:
            journal: Of the run.
            objects: Of the ledger, for the plan.
        """
        self._path = journal
        self._objects = objects
        self._forget()

    def look(self) -> Snapshot:
        """Read what is new, and say how the run stands.

        Raises:
            InputError: The journal is damaged, empty or gone.
        """
        # Asked before reading: lines written in between are still seen.
        is_live = is_being_written(self._path)
        try:
            if self._path.stat().st_size < self._next:
                self._forget()
            for line in read_journal(self._path, self._next):
                self._take(line)
        except FileNotFoundError:
            raise _nothing(self._path, "there is no journal any more") from None
        if not self._history.begins:
            raise _nothing(self._path, "the run has not begun yet")
        return self._snapshot(is_live=is_live)

    def _forget(self) -> None:
        self._history = History()
        self._next = 0
        self._stops = array("q")
        self._loss = Points([], [])
        self._recent: deque[tuple[int, int]] = deque(maxlen=_PACE_STEPS)
        self._speed: float | None = None
        self._plan: Plan | None = None

    def _take(self, line: Line) -> None:
        event = line.event
        if event["kind"] == "begin":
            self._begin(event)
        self._history.apply(line)
        self._next = line.stop
        self._stops.append(line.stop)
        if event["kind"] == "step":
            self._recent.append((event["step"], event["unix_ms"]))
            loss = event.get("metrics", {}).get("loss")
            if loss is not None:
                self._loss.steps.append(event["step"])
                self._loss.values.append(float(loss))
            speed = event.get("timings", {}).get("tokens_per_second")
            self._speed = self._speed if speed is None else float(speed)

    def _begin(self, event: Event) -> None:
        """Drop what another process measured, and steps that are trained anew."""
        self._recent.clear()
        self._speed = None
        if event["determinism"] != "exact":
            steps, values = self._loss
            kept = bisect_left(steps, event["resumed_from"] or 0)
            del steps[kept:], values[kept:]

    def _snapshot(self, *, is_live: bool) -> Snapshot:
        history = self._history
        first, last = history.begins[0], history.begins[-1]
        plan = self._planned(first)
        step, num_steps = history.next_step, plan.num_steps
        width = min(WIDTH, num_steps)
        curve: tuple[float | None, ...] = ()
        if self._loss.steps:
            drawn = draw_curve("loss", self._loss, num_steps=num_steps, width=width)
            # What has not been trained yet stays blank.
            curve = drawn.bins[: -(-step * width // num_steps)]
        saved = max(history.checkpoints, default=None)
        outcome = history.finish["outcome"] if history.finish is not None else None
        ended = "gone" if outcome is None else str(outcome["status"])
        return Snapshot(
            run=self._path.parent.name,
            name=first["name"],
            state="running" if is_live else ended,
            reason=outcome["reason"] if outcome is not None and not is_live else "",
            host=last["host"],
            pid=last["pid"],
            stage=history.stages[-1].name if history.stages else None,
            stages=tuple(stage.name for stage in plan.stages),
            step=step,
            num_steps=num_steps,
            left_seconds=self._left_seconds(num_steps - step) if is_live else None,
            loss=float_text(self._loss.values[-1]) if self._loss.values else None,
            curve=tuple(
                float_text(one) if one is not None and one - one != 0 else one
                for one in curve
            ),
            borders=tuple(
                stage.start_step * width // num_steps for stage in plan.stages
            ),
            tokens_per_second=self._speed,
            checkpoint_step=saved,
            checkpoint_unix_ms=(
                None if saved is None else history.checkpoints[saved].get("unix_ms")
            ),
            delivered=tuple(self._delivered()),
            num_seams=len(history.begins) - 1,
            entry=history.finish["entry"] if history.finish is not None else None,
            unix_ms=history.session_ms[-1][1],
        )

    def _planned(self, begin: Event) -> Plan:
        if self._plan is None:
            path = self._objects.path(begin["plan"]["sha256"])
            self._plan = Plan.model_validate_json(path.read_bytes())
        return self._plan

    def _left_seconds(self, num_steps: int) -> float | None:
        if len(self._recent) < 2:
            return None
        (first_step, first_ms), (last_step, last_ms) = self._recent[0], self._recent[-1]
        seconds = max(0, last_ms - first_ms) / 1000
        return seconds / max(1, last_step - first_step) * num_steps

    def _delivered(self) -> Iterator[Delivered]:
        for path in sorted(self._path.parent.glob("delivery-*.json")):
            try:
                state = DeliveryState.model_validate(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                continue
            waiting = len(self._stops) - bisect_right(self._stops, state.offset)
            yield Delivered(state.uri, waiting, state.problem)


class Found(NamedTuple):
    """A run that can be watched."""

    journal: Path
    name: str
    is_live: bool
    unix_ms: int
    """When its journal was last written."""


def find_runs(workspace: Path) -> list[Found]:
    """Return every run that has a journal, the one that was written last at the end."""
    found = []
    for path in workspace.glob(".codemix/runs/*/journal.jsonl"):
        begin = next(read_journal(path), None)
        if begin is not None:
            written = path.stat().st_mtime_ns // 10**6
            name = str(begin.event["name"])
            found.append(Found(path, name, is_being_written(path), written))
    return sorted(found, key=lambda run: run.unix_ms)


def choose_run(workspace: Path, text: str | None) -> Path:
    """Return the journal of the run that is meant.

    Args:
        workspace: Holds `.codemix`.
        text: Beginning of the run's folder, or the experiment's name; null: the one
            that is going on.

    Raises:
        InputError: None or several are meant; they are listed.
    """
    runs = find_runs(workspace)
    if text is None:
        meant = [run for run in runs if run.is_live]
        if not meant:
            fix = "codemix run SPEC"
            if runs:
                last = runs[-1].journal.parent.name
                fix = f"codemix ledger watch {last} shows the last one"
            raise InputError("no run is going on", fix=fix)
    else:
        meant = [
            run
            for run in runs
            if run.journal.parent.name.startswith(text) or run.name == text
        ]
        if not meant:
            raise InputError(
                f"no run is named {text!r}", fix=f"one of {_listed(runs) or 'none yet'}"
            )
    if len(meant) > 1:
        raise InputError(
            f"{len(meant)} runs are meant: {_listed(meant)}",
            fix=f"codemix ledger watch {meant[-1].journal.parent.name}",
        )
    return meant[0].journal


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as plain JSON types."""
    told: dict[str, Any] = snapshot._asdict()
    told["delivered"] = [one._asdict() for one in snapshot.delivered]
    return told


def _listed(runs: list[Found]) -> str:
    return ", ".join(f"{run.journal.parent.name} ({run.name})" for run in runs[-5:])


def _nothing(path: Path, what: str) -> InputError:
    return InputError(what, file=str(path), fix="codemix run SPEC")
