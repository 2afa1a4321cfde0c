"""How the results of two runs differ: where they part, and by how much they end apart.

Everything is read from entries and their objects, each checked against its digest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Literal

from ledger.differences import (
    Difference,
    compare_inputs,
)
from ledger.entry import Entry, ScoreFacts, StageFacts
from ledger.objects import ObjectStore
from ledger.paired import Interval, questions_interval, steps_interval
from ledger.series import decode_series
from ledger.tensor_words import TensorWords, differing
from ledger.trace import Trace, TraceRecord
from specs.base import Value
from specs.lock import Lock


class Parting(Value):
    """The first step at which two traces are not the same."""

    step: int
    channel: Literal["batch", "weights", "length"]
    """`batch`: other data or another order; `weights`: other arithmetic on the same
    batches; `length`: one of the runs ends before this step."""
    tensors: tuple[str, ...]
    """Those whose weights differ after this step, where both runs recorded it."""
    num_tensors: int
    """Of all weights; 0 where they were not recorded."""


class MetricDiff(Value):
    """One metric of one stage in both runs, over the steps that both logged."""

    stage: str
    """As the first run names it."""
    name: str
    was: str
    """At the last step that both logged."""
    now: str
    first_step: int | None
    """First step where they differ, to the bit; null: nowhere."""
    difference: Interval | None
    """Second minus first; null where a number is not finite, or none differs."""


class ScoreDiff(Value):
    """One score that both runs have, after the same number of steps or at the end."""

    suite: str
    name: str
    stage: str
    """The stage at whose end it was taken, as the first run names it."""
    was: str
    now: str
    difference: Interval | None
    """Paired over questions, second minus first; null without results for each."""


class ResultDiff(Value):
    """How the results of two runs differ."""

    parting: Parting | None
    """Null: every step is the same."""
    num_equal_steps: int
    """Leading steps that are the same by batch and weights."""
    metrics: tuple[MetricDiff, ...]
    scores: tuple[ScoreDiff, ...]
    differences: tuple[Difference, ...]
    """Of code, machine and data, first suspect first."""

    @property
    def is_same(self) -> bool:
        """Whether every step, every shared metric and every shared score is one."""
        return (
            self.parting is None
            and all(one.first_step is None for one in self.metrics)
            and all(one.was == one.now for one in self.scores)
        )


def diff_results(was: Entry, now: Entry, of: Mapping[str, ObjectStore]) -> ResultDiff:
    """Compare what two runs came to.

    Args:
        was: The first run.
        now: The second run.
        of: `was` and `now`: where the objects of each are.

    Raises:
        CheckFailed: An object was changed since it was recorded.
        InputError: An object is missing.
    """
    parting, num_equal = _parting(was, now, of)
    locks = [
        Lock.model_validate(of[side].get_json(entry.lock))
        for side, entry in (("was", was), ("now", now))
    ]
    return ResultDiff(
        parting=parting,
        num_equal_steps=num_equal,
        metrics=tuple(_metrics(was, now, of)),
        scores=tuple(_scores(was, now, of)),
        differences=compare_inputs(was, now, *locks),
    )


def _parting(
    was: Entry, now: Entry, of: Mapping[str, ObjectStore]
) -> tuple[Parting | None, int]:
    # Stages may have other borders, so steps are compared, not chains.
    pairs = zip_longest(_records(was, of["was"]), _records(now, of["now"]))
    count = 0
    for old, new in pairs:
        if old is None or new is None:
            longer = old or new
            assert longer is not None
            return _ended(longer.step), count
        if old.batch != new.batch:
            return _parted(old.step, "batch", was, now, of), count
        if old.weights != new.weights:
            return _parted(old.step, "weights", was, now, of), count
        count += 1
    return None, count


def _ended(step: int) -> Parting:
    return Parting(step=step, channel="length", tensors=(), num_tensors=0)


def _records(entry: Entry, objects: ObjectStore) -> Iterator[TraceRecord]:
    for stage in entry.stages:
        trace = Trace(objects.get(stage.trace), name=f"the trace of {stage.name}")
        for step in range(trace.start_step, trace.stop_step):
            yield trace.at(step)


def _parted(
    step: int,
    channel: Literal["batch", "weights"],
    was: Entry,
    now: Entry,
    of: Mapping[str, ObjectStore],
) -> Parting:
    words = [
        _words_at(entry, of[side], step) for side, entry in (("was", was), ("now", now))
    ]
    old, new = words
    names: tuple[str, ...] = ()
    num_tensors = 0
    if old is not None and new is not None and old.names == new.names:
        names = differing(old.names, old.at(step), new.at(step))
        num_tensors = len(old.names)
    return Parting(step=step, channel=channel, tensors=names, num_tensors=num_tensors)


def _words_at(entry: Entry, objects: ObjectStore, step: int) -> TensorWords | None:
    for stage in entry.stages:
        if stage.start_step <= step < stage.stop_step and stage.tensor_words:
            return TensorWords(objects.get(stage.tensor_words))
    return None


def stage_counterparts(was: Entry, now: Entry) -> list[tuple[StageFacts, StageFacts]]:
    """Pair the stages of two runs by name; by place where no name is shared."""
    named = {stage.name: stage for stage in now.stages}
    pairs = [(old, named[old.name]) for old in was.stages if old.name in named]
    return pairs or list(zip(was.stages, now.stages, strict=False))


def _metrics(
    was: Entry, now: Entry, of: Mapping[str, ObjectStore]
) -> Iterator[MetricDiff]:
    for old, new in stage_counterparts(was, now):
        # Counted from the stage's own start, so that a stage that comes later in the
        # second run is compared step for step, too.
        before = _logged(old, of["was"])
        after = _logged(new, of["now"])
        shared = sorted(before.keys() & after.keys())
        if not shared:
            continue
        for name in sorted(before[shared[-1]].keys() & after[shared[-1]].keys()):
            steps = [at for at in shared if name in before[at] and name in after[at]]
            was_texts = [before[at][name] for at in steps]
            now_texts = [after[at][name] for at in steps]
            parted = [
                at
                for at, one, other in zip(steps, was_texts, now_texts, strict=True)
                if one != other
            ]
            yield MetricDiff(
                stage=old.name,
                name=name,
                was=was_texts[-1],
                now=now_texts[-1],
                first_step=old.start_step + parted[0] if parted else None,
                difference=_interval(was_texts, now_texts) if parted else None,
            )


def _logged(stage: StageFacts, objects: ObjectStore) -> dict[int, Mapping[str, str]]:
    return {
        point.step - stage.start_step: point.values
        for point in decode_series(objects.get(stage.metrics))
    }


def _interval(was: list[str], now: list[str]) -> Interval | None:
    found = [float(new) - float(old) for old, new in zip(was, now, strict=True)]
    if not all(map(math.isfinite, found)):
        return None
    return steps_interval(found)


def _scores(
    was: Entry, now: Entry, of: Mapping[str, ObjectStore]
) -> Iterator[ScoreDiff]:
    for old_stage, new_stage in stage_counterparts(was, now):
        after = {
            score.suite: score
            for score in now.scores
            if score.step == new_stage.stop_step
        }
        for old in was.scores:
            new = after.get(old.suite)
            if old.step != old_stage.stop_step or new is None:
                continue
            intervals = _per_question(old, new, of)
            for name in sorted(old.values.keys() & new.values.keys()):
                yield ScoreDiff(
                    suite=old.suite,
                    name=name,
                    stage=old_stage.name,
                    was=old.values[name],
                    now=new.values[name],
                    difference=intervals.get(name),
                )


_CHOSEN = {"accuracy": "choice", "accuracy_per_byte": "per_byte"}
"""Score -> where a question's result has the choice that it goes by."""


def _per_question(
    was: ScoreFacts, now: ScoreFacts, of: Mapping[str, ObjectStore]
) -> dict[str, Interval]:
    """Pair the results of questions, where both have them of the same ones."""
    if was.detail is None or now.detail is None:
        return {}
    details = (of["was"].get_json(was.detail), of["now"].get_json(now.detail))
    old, new = (detail.get("results") for detail in details)
    if not old or not new or _answers(old) != _answers(new):
        return {}
    return {
        score: questions_interval(
            [
                (after[key] == after["answer"]) - (before[key] == before["answer"])
                for before, after in zip(old, new, strict=True)
            ]
        )
        for score, key in _CHOSEN.items()
    }


def _answers(results: list[Any]) -> list[Any]:
    return [(result.get("answer"), result.get("bytes")) for result in results]
