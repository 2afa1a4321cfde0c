"""What a journal says has happened so far, as an index over its lines.

Steps are many, so only the places of their lines are kept in memory; everything else is
kept whole. A run whose arithmetic repeats exactly keeps its first record of a step. One
that doesn't (`determinism` other than `exact`) forgets, when it resumes, what came
after the checkpoint: there the later record counts.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.journal import Line, read_event, read_journal
from specs.errors import InputError

Event = dict[str, Any]

KINDS = frozenset(
    {"begin", "stage_begin", "step", "scores", "checkpoint", "artifact", "stage_end"}
    | {"stage_reused", "finish"}
)
"""Kinds of event that this codemix knows."""

_NEEDED = frozenset({"recording", "identity", "spec", "determinism", "unix_ms"})
"""What the first event of every journal has said since there are journals."""


@dataclass
class StageSpan:
    """One stage as far as it went."""

    name: str
    start_step: int
    end: Event | None = None
    """The event of its end; null while it goes on."""
    reused: Event | None = None
    """The event that took it over from an earlier entry; null if trained."""


@dataclass
class History:
    """The index of one journal, in the order of its events."""

    begins: list[Event] = field(default_factory=list)
    stages: list[StageSpan] = field(default_factory=list)
    checkpoints: dict[int, Event] = field(default_factory=dict)
    """Steps done -> event."""
    scores: dict[tuple[int, str], Event] = field(default_factory=dict)
    """Steps done, suite -> event."""
    artifacts: dict[str, Event] = field(default_factory=dict)
    """Name -> event; the last one counts."""
    finish: Event | None = None
    """How the last process ended; null if it could not say."""
    first_step: int = 0
    """First step that was trained; those before it were taken over."""
    session_ms: list[tuple[int, int]] = field(default_factory=list)
    """Per process: when it wrote its first and its last line."""
    stop: int = 0
    """Byte offset of the line after the last one."""
    unknown: set[str] = field(default_factory=set)
    """Kinds of event that another codemix wrote."""
    _starts: array[int] = field(default_factory=lambda: array("q"))

    @property
    def last_ms(self) -> int:
        """When the latest line was written; 0 before the first."""
        return max((last for _, last in self.session_ms), default=0)

    @property
    def next_step(self) -> int:
        """The first step that is not recorded."""
        return self.first_step + len(self._starts)

    @property
    def num_reused(self) -> int:
        """Stages that were taken over; they are the first ones."""
        return sum(1 for span in self.stages if span.reused)

    @property
    def is_exact(self) -> bool:
        """Whether the run claims to repeat its bits; asked after it has begun."""
        return bool(self.begins[0]["determinism"] == "exact")

    def line_start(self, step: int) -> int:
        """Byte offset of the line that counts for a recorded step."""
        return self._starts[step - self.first_step]

    def apply(self, line: Line) -> None:
        """Take one more line into account."""
        event = line.event
        kind = event["kind"]
        self.stop = line.stop
        if kind == "begin":
            self._begin(event)
        else:
            first, last = self.session_ms[-1]
            self.session_ms[-1] = (first, max(last, event["unix_ms"]))
        if kind == "step":
            self._starts.append(line.start)
        elif kind == "stage_begin":
            self.stages.append(StageSpan(event["name"], event["step"]))
        elif kind == "stage_end":
            self.stages[-1].end = event
        elif kind == "stage_reused":
            span = StageSpan(event["name"], event["start_step"], reused=event)
            self.stages.append(span)
            self.first_step = event["stop_step"]
            self.checkpoints[event["stop_step"]] = event["checkpoint"]
            for score in event["scores"]:
                self.scores[score["step"], score["suite"]] = score
        elif kind == "checkpoint":
            self.checkpoints[event["step"]] = event
        elif kind == "scores":
            self.scores[event["step"], event["suite"]] = event
        elif kind == "artifact":
            self.artifacts[event["name"]] = event
        elif kind == "finish":
            self.finish = event
        if kind not in KINDS:
            self.unknown.add(kind)

    def stage(self, name: str) -> StageSpan | None:
        """Return the stage of that name, if it has begun."""
        return next((span for span in self.stages if span.name == name), None)

    @property
    def unended_stage(self) -> str | None:
        """Name of the stage that goes on; null between stages."""
        last = self.stages[-1] if self.stages else None
        is_open = last is not None and last.end is None and last.reused is None
        return last.name if last is not None and is_open else None

    def _begin(self, event: Event) -> None:
        if self.begins and not self.is_exact:
            self._forget_after(event["resumed_from"] or 0)
        self.begins.append(event)
        self.session_ms.append((event["unix_ms"], event["unix_ms"]))
        self.finish = None

    def _forget_after(self, step: int) -> None:
        """Drop what was recorded for `step` and later steps."""
        del self._starts[max(0, step - self.first_step) :]
        self.stages = [
            span for span in self.stages if span.reused or span.start_step <= step
        ]
        for span in self.stages:
            if span.end and span.end["step"] > step:
                span.end = None
        self.checkpoints = {
            done: event for done, event in self.checkpoints.items() if done <= step
        }
        self.scores = {
            key: event for key, event in self.scores.items() if key[0] <= step
        }


def read_history(path: Path) -> History:
    """Index a journal; of a missing one, nothing has happened.

    Raises:
        InputError: The journal is damaged.
    """
    history = History()
    if path.exists():
        for line in read_journal(path):
            history.apply(line)
    return history


def check_known(history: History, path: Path) -> None:
    """Refuse to go on in a journal that this codemix can't read all of.

    Raises:
        InputError: Another codemix wrote events, or left out what is needed.
    """
    unknown = sorted(history.unknown)
    missing = sorted(_NEEDED - set(history.begins[0])) if history.begins else []
    if unknown or missing:
        what = (
            f"another codemix wrote this journal: it holds {unknown[0]!r} events"
            if unknown
            else f"another codemix wrote this journal: it does not say {missing[0]!r}"
        )
        raise InputError(
            what,
            file=str(path),
            fix="go on with the codemix that began it, or delete the run's folder to "
            "run from the start",
        )


def recorded_step(history: History, path: Path, step: int) -> Event:
    """Read the event of a recorded step."""
    return read_event(path, history.line_start(step))


def completed_entry(folder: Path) -> str | None:
    """Return the digest of the entry that a run came to; null if it isn't complete."""
    finish = read_history(folder / "journal.jsonl").finish
    if finish is None or finish["outcome"]["status"] != "completed":
        return None
    digest: str = finish["entry"]
    return digest
