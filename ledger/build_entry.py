"""From the journal of a run to its entry, stage by stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ledger.differences import compare_code, compare_devices, compare_environment
from ledger.entry import (
    ArtifactFacts,
    CheckpointFacts,
    Entry,
    ScoreFacts,
    Seam,
    StageFacts,
    Times,
)
from ledger.facts import CodeFacts, EnvironmentFacts, ObjectRef
from ledger.floats import float_text
from ledger.history import Event, History, StageSpan
from ledger.journal import read_journal
from ledger.recorder import Outcome
from ledger.series import encode_series
from ledger.tensor_words import WordsRecord, encode_words
from ledger.trace import Trace, TraceRecord, encode_trace


class Keeps(Protocol):
    """Keeps the bytes that an entry refers to."""

    def put(self, data: bytes) -> ObjectRef:
        """Keep bytes and return the reference to them."""


class Keeper(Protocol):
    """What an entry is built with: a ledger, or a check that keeps nothing."""

    @property
    def objects(self) -> Keeps:
        """Takes traces and series."""


def build_entry(
    history: History, path: Path, ledger: Keeper, outcome: Outcome, ended_ms: int
) -> Entry:
    """Put the entry of a run together and keep all that it refers to.

    Args:
        history: Index of the journal, up to the line that will name the entry.
        path: Of the journal.
        ledger: Takes traces and series; gets no entry here.
        outcome: How the run ended.
        ended_ms: When, in milliseconds since 1970.
    """
    first = history.begins[0]
    steps = _counting_steps(history, path)
    names = tuple(first.get("tensor_names", ()))
    stages = tuple(
        _stage(span, _stop_step(history, index), steps, names, ledger.objects)
        for index, span in enumerate(history.stages)
    )
    same_names = set(Entry.model_fields) & set(first) - {"kind"}
    return Entry(
        **{name: first[name] for name in same_names},
        outcome=outcome,
        stages=stages,
        checkpoints=tuple(
            CheckpointFacts(step=step, tensors=event["tensors"])
            for step, event in sorted(history.checkpoints.items())
        ),
        scores=_scores(history),
        artifacts=tuple(
            ArtifactFacts(name=name, content=event["content"])
            for name, event in sorted(history.artifacts.items())
        ),
        seams=tuple(_seam(first, event) for event in history.begins[1:]),
        times=_times(history, ended_ms),
        journal=_digest_up_to(path, history.stop),
    )


def finish_event(outcome: Outcome, digest: str, ended_ms: int) -> Event:
    """Return the event that ends a journal with the digest of its entry."""
    return {
        "kind": "finish",
        "unix_ms": ended_ms,
        "outcome": outcome.to_json(),
        "entry": digest,
    }


def _digest_up_to(path: Path, stop: int) -> str:
    """SHA-256 of the first bytes of a journal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while stop and (data := file.read(min(stop, 1 << 20))):
            digest.update(data)
            stop -= len(data)
    return digest.hexdigest()


def _counting_steps(history: History, path: Path) -> Iterator[Event]:
    """Yield the events of all steps in order, each once."""
    next_step = history.first_step
    for line in read_journal(path):
        if next_step == history.next_step:
            return
        is_step = line.event["kind"] == "step"
        if is_step and line.start == history.line_start(next_step):
            next_step += 1
            yield line.event


def _stop_step(history: History, index: int) -> int:
    span = history.stages[index]
    if span.reused is not None:
        return int(span.reused["stop_step"])
    return int(span.end["step"]) if span.end else history.next_step


def _stage(
    span: StageSpan,
    stop_step: int,
    steps: Iterator[Event],
    names: tuple[str, ...],
    objects: Keeps,
) -> StageFacts:
    if span.reused is not None:
        return StageFacts.model_validate(span.reused["stage"])
    records, metrics, timings = [], [], []
    words: list[WordsRecord] = []
    for _ in range(stop_step - span.start_step):
        event = next(steps)
        step = event["step"]
        records.append(TraceRecord(step, event["batch"], event["weights"]))
        if "tensor_words" in event:
            initial = event.get("initial_words")
            words.append(WordsRecord(step, event["tensor_words"], initial))
        if "metrics" in event:
            metrics.append((step, _numbers(event["metrics"])))
            clock = {"unix_ms": event["unix_ms"], **event.get("timings", {})}
            timings.append((step, _numbers(clock)))
    trace = encode_trace(records)
    end = span.end or {}
    return StageFacts(
        name=span.name,
        start_step=span.start_step,
        stop_step=stop_step,
        identity=end.get("identity"),
        weights_digest=end.get("weights_digest"),
        weights=records[-1].weights if records else None,
        trace=objects.put(trace),
        trace_head=Trace(trace).head,
        metrics=objects.put(encode_series(metrics)),
        timings=objects.put(encode_series(timings)),
        tensor_words=objects.put(encode_words(names, words))
        if words and len(words) == len(records)
        else None,
    )


def _numbers(values: dict[str, float | str]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _scores(history: History) -> tuple[ScoreFacts, ...]:
    """Scores of this run, and those that came with the stages that it took over."""
    scores = []
    for event in history.scores.values():
        fields = {name: event[name] for name in ScoreFacts.model_fields}
        scores.append(ScoreFacts(**fields))
    return tuple(sorted(scores, key=lambda score: (score.step, score.suite)))


def _seam(first: Event, event: Event) -> Seam:
    differences = [
        *compare_code(_code(first), _code(event)),
        *compare_environment(_environment(first), _environment(event)),
        *compare_devices(first["devices"], event["devices"]),
    ]
    return Seam(
        step=event["resumed_from"] or 0,
        unix_ms=event["unix_ms"],
        host=event["host"],
        differences=tuple(str(difference) for difference in differences),
    )


def _code(event: Event) -> CodeFacts:
    return CodeFacts.model_validate(event["code"])


def _environment(event: Event) -> EnvironmentFacts:
    return EnvironmentFacts.model_validate(event["environment"])


def _times(history: History, ended_ms: int) -> Times:
    sessions = history.session_ms
    return Times(
        started_unix_ms=sessions[0][0],
        ended_unix_ms=ended_ms,
        recorded_seconds=float_text(
            sum(last - first for first, last in sessions) / 1000
        ),
    )
