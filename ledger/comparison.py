"""What a replay has seen so far against what an entry says: differences and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.compared import Tally
from ledger.deviation import Deviations
from ledger.entry import Entry
from ledger.expected import Expected
from ledger.floats import float_texts
from ledger.parting import Cause, Metrics, Parting, cause_in_weights, cause_of
from ledger.recorder import Channel, Diverged, StepRecord
from ledger.repeats import LOSS, final_scores
from ledger.series import first_point_difference
from ledger.tensor_words import differing


class Comparison:
    """Compares one thing after the other; counts what is the same.

    Every method but those for metrics raises `Diverged` at a difference, unless a
    tolerance or the band of seeds was asked for: then only those that neither allows.
    """

    def __init__(
        self,
        original: Entry,
        expected: Expected,
        tolerance: float | None,
        is_consistent: bool,
    ) -> None:
        self._original, self._expected = original, expected
        self._is_consistent = is_consistent
        self.deviations = None if tolerance is None else Deviations(tolerance)
        self.tally = Tally(expected)
        self.first: Parting | None = None
        """First difference in any bit."""
        self.stopped: Parting | None = None
        """The difference that ended the replay."""
        self.final: dict[str, str] = {}
        """The replay's final numbers, see `ledger.repeats`."""

    @property
    def num_tensors(self) -> int | None:
        """Tensors of the weights; null if not recorded."""
        return len(self._expected.tensor_names) or None

    def batch(self, step: int, was: str, now: str) -> None:
        """Compare a batch: no grade allows another one."""
        self.part(step, "batch", was, now, is_fatal=True)
        self.tally.step("batches", step)

    def initial(self, now: str) -> None:
        """Compare the words of the weights before the first step."""
        names, was = self._expected.tensor_names, self._expected.initial_words
        if was is None:
            return
        other = differing(names, was, now) if len(was) == len(now) else names
        for name in set(names) - set(other):
            self.tally.once("initial", name)
        self.part(
            0,
            "weights",
            was,
            now,
            cause="initialisation",
            tensors=other,
            # Another beginning is within no tolerance.
            is_fatal=not self._is_consistent,
        )

    def weights(
        self, stage: str, record: StepRecord, was: str, metrics: Metrics
    ) -> None:
        """Compare the weights after a step, and name the tensors that differ."""
        step = record.step
        if was == record.weights:
            self.tally.step("steps", step)
            return
        other: tuple[str, ...] = ()
        words, now = self._expected.words(stage, step), record.tensor_words
        if words is not None and now is not None and len(words) == len(now):
            other = differing(self._expected.tensor_names, words, now)
        told = float_texts(record.metrics or {})
        cause = cause_in_weights(self._original, step, metrics, told)
        self.part(step, "weights", was, record.weights, cause=cause, tensors=other)

    def metrics(self, record: StepRecord, was: Mapping[str, str]) -> None:
        """Compare the metrics of a step; never raises."""
        step, now = record.step, float_texts(record.metrics or {})
        if LOSS in now:
            self.final[LOSS] = now[LOSS]
        self.tally.once("metrics looked at", step)
        if self.deviations is not None:
            self.deviations.add(step, was, now)
        difference = first_point_difference(was, now, step=step)
        if difference is None:
            self.tally.once("metrics", step)
        elif self.first is None:
            _, name, old, new = difference
            self.first = Parting(step, "metrics", name, old, new, "reporting")

    def scores(self, step: int, suite: str, now: Mapping[str, str]) -> None:
        """Compare scores; those that the original does not have say nothing."""
        if step == self._original.num_steps:
            self.final.update(final_scores(suite, now))
        was = self._expected.scores.get((step, suite))
        if step == 0 or was is None:
            return
        self.tally.once("scores looked at", step, suite)
        if self.deviations is not None:
            self.deviations.add(step, was, now, suite)
        if self.part(step, "scores", was, dict(now), name=suite):
            self.tally.once("scores", step, suite)

    def tensors(self, step: int, now: Mapping[str, Any]) -> None:
        """Compare every tensor of a checkpoint that the original has too."""
        recorded = self._expected.tensors(step)
        if recorded is None:
            return
        names = sorted({*recorded, *now})
        other = tuple(name for name in names if recorded.get(name) != now.get(name))
        if step == self._original.num_steps:
            for name in set(names) - set(other):
                self.tally.once("tensors", name)
        if other:
            was, is_now = recorded.get(other[0]), now.get(other[0])
            self.part(step, "tensors", was, is_now, name=other[0], tensors=other)

    def part(
        self,
        step: int,
        channel: Channel,
        was: object,
        now: object,
        *,
        name: str = "",
        cause: Cause | None = None,
        tensors: tuple[str, ...] = (),
        is_fatal: bool = False,
    ) -> bool:
        """Compare anything; return whether it is the same.

        Raises:
            Diverged: It isn't, and nothing was asked for that allows it.
        """
        if was == now:
            return True
        cause = cause or cause_of(channel)
        found = Parting(step, channel, name, was, now, cause, tensors, self.num_tensors)
        self.first = self.first or found
        is_lenient = self.deviations is not None or self._is_consistent
        if is_fatal or not is_lenient:
            self.stopped = found
            fix = _FIXES.get(channel, _FIXES["weights"])
            raise Diverged(found.what, step=step, channel=channel, fix=fix)
        return False


_FIXES: dict[Channel, str] = {
    "batch": "the data or its order differs: compare the lock and the plan first",
    "weights": "the same batch gave other weights: compare the code, jaxlib, the "
    "processor's features and XLA_FLAGS first",
}
