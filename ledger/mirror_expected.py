"""What MLflow should hold of a recording, from its entry and from its journal.

Both ways to MLflow end in the same rows but for one thing: when a score was taken is
in the journal alone, and a store rebuilt from entries says when the run ended.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ledger.documents import Stored
from ledger.entry import Entry
from ledger.evaluation import StoredEvaluation
from ledger.history import Event
from ledger.journal import read_journal
from ledger.mirror import (
    ENTRY_TAG,
    STATUSES,
    MetricPoint,
    begin_tags,
    entry_tags,
    file_digests,
    flat_params,
    run_name,
    score_points,
    stage_points,
    step_points,
)
from ledger.objects import ObjectStore

Times = frozenset[int] | None
"""Moments of which one must be a row's; null: any."""


class ExpectedPoint(NamedTuple):
    """One row of a metric."""

    key: str
    step: int
    value: float
    times: Times


@dataclass
class ExpectedRun:
    """Everything that the MLflow run of one recording must and may hold."""

    experiment: str
    name: str
    entry: str | None
    """Digest of the last entry; null of a run that never ended."""
    params: dict[str, str]
    started_ms: int
    status: str | None
    """Null where nothing can be said of it."""
    ended_ms: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    live_tags: dict[str, str] = field(default_factory=dict)
    """There where the run was delivered from its journal; else they may be."""
    other_tags: frozenset[str] = frozenset()
    """Tags that may be there, whatever they say."""
    required: list[ExpectedPoint] = field(default_factory=list)
    allowed: list[ExpectedPoint] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """Name -> SHA-256."""
    other_files: frozenset[str] = frozenset()
    """Names of files that may be there: those of an earlier entry."""


class Recording(NamedTuple):
    """One recording: the entries that came of it, in order, and its journal."""

    name: str
    """The random name."""
    entries: tuple[Stored, ...]
    journal: Path | None
    evaluations: tuple[StoredEvaluation, ...] = ()
    """Of these entries, in order."""


def expected_run(
    recording: Recording, objects: ObjectStore, *, delivered_bytes: int | None
) -> ExpectedRun:
    """Work out what MLflow should hold.

    Args:
        recording: What is known of it.
        objects: Of the ledger.
        delivered_bytes: How much of the journal MLflow has got; null: unknown.

    Raises:
        CodemixError: An object or the journal was changed.
    """
    events = _Events(recording.journal, delivered_bytes)
    runs = [
        (stored.digest, stored.entry)
        for stored in recording.entries
        if isinstance(stored.entry, Entry)
    ]
    expected = (
        _of_entries(runs, objects, events) if runs else _of_journal(recording, events)
    )
    if events.begin is not None:
        host = begin_tags(events.begin)["codemix.host"]
        expected.live_tags |= {"codemix.host": host, **events.stage_tag}
    else:
        expected.other_tags |= {"codemix.host", "codemix.stage"}
    if events.is_open:
        # A process went on after the last entry, and is gone.
        expected.status, expected.ended_ms = "KILLED", None
        expected.live_tags |= events.weights_tags
        for tag in events.weights_tags:
            expected.tags.pop(tag, None)
    return expected


class _Events:
    """What MLflow has got of a journal, in one reading."""

    def __init__(self, journal: Path | None, delivered_bytes: int | None) -> None:
        self.begin: Event | None = None
        self.stage_tag: dict[str, str] = {}
        self.weights_tags: dict[str, str] = {}
        self.steps: list[ExpectedPoint] = []
        self.scores: list[ExpectedPoint] = []
        self.is_open = False
        for line in read_journal(journal) if journal is not None else ():
            if delivered_bytes is None or line.stop <= delivered_bytes:
                self._apply(line.event)

    def _apply(self, event: Event) -> None:
        kind = event["kind"]
        self.is_open = kind != "finish"
        if kind == "begin" and self.begin is None:
            self.begin = event
        elif kind == "stage_begin":
            self.stage_tag = {"codemix.stage": event["name"]}
        elif kind == "stage_end":
            tag = f"codemix.weights.{event['name']}"
            self.weights_tags[tag] = event["weights_digest"]
        elif kind == "step":
            self.steps += map(exactly, step_points(event))
        elif kind == "scores":
            self.scores += map(exactly, score_points(event))


def _of_entries(
    runs: list[tuple[str, Entry]], objects: ObjectStore, events: _Events
) -> ExpectedRun:
    digest, entry = runs[-1]
    times = entry.times
    return ExpectedRun(
        experiment=entry.name,
        name=run_name(entry.name, entry.recording),
        entry=digest,
        params=flat_params(entry.spec),
        started_ms=times.started_unix_ms,
        status=STATUSES[entry.outcome.status],
        ended_ms=times.ended_unix_ms,
        tags={**entry_tags(entry), ENTRY_TAG: digest},
        # An earlier entry of the recording left the reason why it was cut.
        live_tags={
            tag: value
            for _, was in runs[:-1]
            for tag, value in entry_tags(was).items()
            if tag not in entry_tags(entry)
        },
        required=[*_step_points(entry, objects), *_score_points(entry, events)],
        allowed=[*events.steps, *events.scores, *_optional_scores(entry, events)],
        files=file_digests(digest, entry),
        other_files=frozenset(
            name for one, was in runs for name in file_digests(one, was)
        ),
    )


def _of_journal(recording: Recording, events: _Events) -> ExpectedRun:
    begin = events.begin
    assert begin is not None, "a recording has an entry or a beginning"
    return ExpectedRun(
        experiment=begin["name"],
        name=run_name(begin["name"], recording.name),
        entry=None,
        params=flat_params(begin["spec"]),
        started_ms=begin["unix_ms"],
        status="KILLED",
        tags={
            key: value
            for key, value in {**begin_tags(begin), **events.weights_tags}.items()
            if key != "codemix.host"
        },
        required=[*events.steps, *events.scores],
    )


def _step_points(entry: Entry, objects: ObjectStore) -> Iterator[ExpectedPoint]:
    for stage in entry.stages:
        yield from map(exactly, stage_points(stage, objects))


def _score_points(entry: Entry, events: _Events) -> Iterator[ExpectedPoint]:
    for point in _all_scores(entry, events):
        if not _is_reused(entry, point.step):
            yield point


def _optional_scores(entry: Entry, events: _Events) -> Iterator[ExpectedPoint]:
    """Scores of stages that were taken over: only a rebuilt store has them."""
    for point in _all_scores(entry, events):
        if _is_reused(entry, point.step):
            yield point._replace(times=None)


def _is_reused(entry: Entry, step: int) -> bool:
    return any(
        stage.reused_from is not None and stage.start_step < step <= stage.stop_step
        for stage in entry.stages
    )


def _all_scores(entry: Entry, events: _Events) -> Iterator[ExpectedPoint]:
    taken = {(point.key, point.step): point.times for point in events.scores}
    ended = frozenset({entry.times.ended_unix_ms})
    for score in entry.scores:
        event = {**score.to_json(), "unix_ms": entry.times.ended_unix_ms}
        for point in map(exactly, score_points(event)):
            times = taken.get((point.key, point.step))
            # Without its line in the journal nobody knows when it was.
            yield point._replace(times=None if times is None else times | ended)


def exactly(point: MetricPoint) -> ExpectedPoint:
    """Return the one row that a number becomes."""
    times = frozenset({point.unix_ms})
    return ExpectedPoint(point.key, point.step, as_kept(point.value), times)


def as_kept(value: float) -> float:
    """Return a number as MLflow keeps it: no infinity, and no sign of zero.

    >>> as_kept(float("inf")) == sys.float_info.max, str(as_kept(-0.0))
    (True, '0.0')
    """
    if math.isnan(value):
        return value
    most = sys.float_info.max
    return min(max(value, -most), most) + 0.0


def is_same_number(left: float, right: float) -> bool:
    """Whether two numbers are one as MLflow keeps them."""
    return left == right or (math.isnan(left) and math.isnan(right))
