"""What an entry says should happen when its run is replayed, read and checked once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ledger.differences import (
    Difference,
    compare_inputs,
    compare_values,
    ranked,
)
from ledger.entry import Entry, StageFacts
from ledger.objects import ObjectStore
from ledger.recorder import RunFacts
from ledger.series import Point, decode_series
from ledger.tensor_words import TensorWords
from ledger.trace import Trace
from specs.errors import CheckFailed
from specs.lock import Lock


class Expected:
    """The recorded steps, metrics, tensors and scores of one entry."""

    def __init__(self, entry: Entry, objects: ObjectStore) -> None:
        """Read every trace.

        Raises:
            CheckFailed: Something was changed since it was recorded.
            InputError: Something is missing.
        """
        self._entry = entry
        self._objects = objects
        self._stages = {stage.name: stage for stage in entry.stages}
        self._traces = {stage.name: self._trace(stage) for stage in entry.stages}
        self._words = {stage.name: self._read_words(stage) for stage in entry.stages}
        self._points = self._read_points(entry)
        self._point = next(self._points, None)
        self._checkpoints = {
            checkpoint.step: checkpoint.tensors for checkpoint in entry.checkpoints
        }
        self._lock = Lock.model_validate(objects.get_json(entry.lock))
        self.scores = {
            (score.step, score.suite): score.values
            for score in entry.scores
            if score.step > 0
        }
        """Steps done, suite -> name -> number as text. Those before the first step are
        of the data alone, such as the size that gzip makes of it: not of a replay."""
        final = entry.num_steps if entry.num_steps in self._checkpoints else None
        self.final_tensors = self.tensors(final) if final is not None else {}
        """Of the checkpoint at the end of the run; empty if there is none."""
        self.num_metrics = sum(1 for stage in entry.stages for _ in self._series(stage))
        """Steps with metrics."""
        self.num_steps = sum(len(trace) for trace in self._traces.values())
        """Of the whole run, as far as the original went."""
        self.stages = entry.stages
        """The original's."""
        first = self._words[entry.stages[0].name] if entry.stages else None
        self.initial_words = first.initial if first is not None else None
        """Words of the weights before the first step; null if not recorded."""

    def differences(self, facts: RunFacts) -> tuple[Difference, ...]:
        """List how the facts of a replay differ from those of the entry."""
        was = self._entry
        plans = compare_values("plan", was.plan.sha256, facts.plan.digest)
        return ranked([*plans, *compare_inputs(was, facts, self._lock, facts.lock)])

    def stage(self, name: str) -> StageFacts | None:
        """Return the stage of that name."""
        return self._stages.get(name)

    def trace(self, stage: str, step: int) -> tuple[str, str] | None:
        """Return batch and weights of a step; null if the stage has no such step."""
        trace = self._traces.get(stage)
        if trace is None or not trace.start_step <= step < trace.stop_step:
            return None
        record = trace.at(step)
        return record.batch, record.weights

    def step_of_batch(self, fingerprint: str) -> int | None:
        """Return the first step with that batch; null if there is none."""
        for trace in self._traces.values():
            for step in range(trace.start_step, trace.stop_step):
                if trace.at(step).batch == fingerprint:
                    return step
        return None

    def words(self, stage: str, step: int) -> str | None:
        """Return the words of the tensors after a step; null if not recorded."""
        words = self._words.get(stage)
        return None if words is None else words.at(step)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """Of the weights, sorted; empty if not recorded."""
        found = (words.names for words in self._words.values() if words is not None)
        return next(found, ())

    def metrics(self, step: int) -> Mapping[str, str] | None:
        """Return the metrics of a step, asked for in order; null if not logged."""
        while self._point is not None and self._point.step < step:
            self._point = next(self._points, None)
        if self._point is None or self._point.step != step:
            return None
        return self._point.values

    def tensors(self, step: int) -> dict[str, Any] | None:
        """Return the tensors of the checkpoint after so many steps; null if none."""
        ref = self._checkpoints.get(step)
        if ref is None:
            return None
        tensors: dict[str, Any] = json.loads(self._objects.get(ref))
        return tensors

    def _trace(self, stage: StageFacts) -> Trace:
        name = f"the trace of stage {stage.name}"
        trace = Trace(self._objects.get(stage.trace), name=name)
        is_whole = len(trace) == stage.stop_step - stage.start_step
        starts_right = not len(trace) or trace.start_step == stage.start_step
        if not (is_whole and starts_right and trace.head == stage.trace_head):
            raise CheckFailed(f"{name} is not the one of its entry")
        return trace

    def _read_words(self, stage: StageFacts) -> TensorWords | None:
        if stage.tensor_words is None:
            return None
        name = f"the tensor words of stage {stage.name}"
        words = TensorWords(self._objects.get(stage.tensor_words), name=name)
        words.check(self._traces[stage.name])
        return words

    def _read_points(self, entry: Entry) -> Iterator[Point]:
        for stage in entry.stages:
            yield from self._series(stage)

    def _series(self, stage: StageFacts) -> Iterator[Point]:
        return decode_series(self._objects.get(stage.metrics))
