"""What the difference between two specs comes to: steps, data, costs, shared stages."""

from __future__ import annotations

from typing import Any

from specs.base import Value
from specs.declared import declared_identities
from specs.diff import Change, Side, changes_of, stage_pairs
from specs.plan import Plan, PlannedRate, PlannedStage
from specs.report import plan_report
from specs.schedule import learning_rate_at

CURVE_POINTS = 64
"""Steps of a stage that its mean learning rate is taken over, at most."""


class Pair(Value):
    """One number of each spec; null where a spec has none."""

    was: int | float | None
    now: int | float | None

    @property
    def is_same(self) -> bool:
        """Whether both are one number."""
        return self.was == self.now


class StageChange(Value):
    """What becomes of one stage."""

    was: str | None
    """Its name in the first spec; null where it is new."""
    now: str | None
    """Its name in the second spec; null where it is gone."""
    is_kept: bool
    """Whether the weights at its end are the same, so that the second run can take the
    stage over."""
    steps: Pair
    tokens: Pair
    sequences: dict[str, Pair]
    """By source."""
    mean_rate: Pair
    """Learning rate on average over the stage."""
    peak_rate: Pair
    final_rate: Pair


class SourceChange(Value):
    """How far each run goes through one source."""

    tokens: Pair
    epochs: Pair
    """Null until prepared."""


class SpecDiff(Value):
    """How one spec differs from another, and what comes of it."""

    changes: tuple[Change, ...]
    stages: tuple[StageChange, ...]
    sources: dict[str, SourceChange]
    numbers: dict[str, Pair]
    """Of the whole run: `num_parameters`, `num_steps`, `num_tokens`,
    `training_flops`, `checkpoint_bytes`."""
    first_rate_step: int | None
    """First step of the whole run at which the learning rates differ; null: none."""
    by_bytes: bool
    """Whether pinned bytes decided which stages are kept; otherwise the words of the
    specs did."""

    @property
    def num_kept(self) -> int:
        """Leading stages that the second run can take over."""
        kept = [stage.is_kept for stage in self.stages]
        return kept.index(False) if False in kept else len(kept)


NUMBERS = (
    "num_parameters",
    "num_steps",
    "num_tokens",
    "training_flops",
    "checkpoint_bytes",
)


def diff_specs(was: Side, now: Side) -> SpecDiff:
    """Compare two specs; see `SpecDiff`."""
    locks = [side.lock for side in (was, now)]
    by_bytes = all(lock is not None and lock.stores for lock in locks)
    reports = [plan_report(side.plan, side.lock) for side in (was, now)]
    identities = [
        declared_identities(side.experiment, side.plan, side.lock if by_bytes else None)
        for side in (was, now)
    ]
    names = [[stage.name for stage in side.plan.stages] for side in (was, now)]
    return SpecDiff(
        changes=changes_of(was, now),
        stages=tuple(
            _stage(
                was.plan.stages[old] if old is not None else None,
                now.plan.stages[new] if new is not None else None,
                is_kept=new is not None and identities[1][new] in identities[0],
            )
            for old, new in stage_pairs(*names)
        ),
        sources=_sources(*(report["sources"] for report in reports)),
        numbers={
            name: _pair(*(report[name] for report in reports)) for name in NUMBERS
        },
        first_rate_step=first_rate_difference(was.plan, now.plan),
        by_bytes=by_bytes,
    )


def first_rate_difference(was: Plan, now: Plan) -> int | None:
    """Return the first step of both runs whose learning rates differ, to the bit."""
    start_step = _equal_rate_steps(was, now)
    stop_step = min(was.num_steps, now.num_steps)
    for step in range(start_step, stop_step):
        old, new = was.stage_at(step), now.stage_at(step)
        if _is_other_rate((old, step - old.start_step), (new, step - new.start_step)):
            return step
    return None


def _equal_rate_steps(was: Plan, now: Plan) -> int:
    """Count the steps of leading stages that have one schedule and one length."""
    for old, new in zip(was.stages, now.stages, strict=False):
        if (old.learning_rate, old.num_steps) != (new.learning_rate, new.num_steps):
            return old.start_step
    return min(was.num_steps, now.num_steps)


def _is_other_rate(
    old: tuple[PlannedStage, int], new: tuple[PlannedStage, int]
) -> bool:
    # The exact rate takes a while; most steps need no arithmetic to be equal.
    if _shape(*old) == _shape(*new):
        return False
    return _rate_at(*old) != _rate_at(*new)


def _shape(stage: PlannedStage, stage_step: int) -> object:
    """What a rate is computed from."""
    rate = stage.learning_rate
    if stage_step < rate.warmup_steps:
        return (rate.warmup_from, rate.peak, rate.warmup_steps, stage_step)
    into_decay = stage_step + 1 - (stage.num_steps - rate.decay_steps)
    if into_decay <= 0:
        return rate.peak
    return (rate.peak, rate.final, rate.decay, rate.decay_steps, into_decay)


def _rate_at(stage: PlannedStage, stage_step: int) -> float:
    return learning_rate_at(stage.learning_rate, stage_step, stage.num_steps)


def _stage(
    was: PlannedStage | None, now: PlannedStage | None, *, is_kept: bool
) -> StageChange:
    sides = (was, now)
    names = sorted({name for one in sides if one for name in one.sequences})

    def pair(of: Any) -> Pair:
        return _pair(*(None if one is None else of(one) for one in sides))

    def rate(of: Any) -> Pair:
        return pair(lambda stage: float(of(stage.learning_rate)))

    return StageChange(
        was=was.name if was else None,
        now=now.name if now else None,
        is_kept=is_kept,
        steps=pair(lambda stage: stage.num_steps),
        tokens=pair(lambda stage: stage.num_tokens),
        sequences={
            name: pair(lambda stage, name=name: stage.sequences.get(name, 0))
            for name in names
        },
        mean_rate=pair(_mean_rate),
        peak_rate=rate(lambda planned: planned.peak),
        final_rate=rate(_final_rate),
    )


def _final_rate(rate: PlannedRate) -> str:
    return rate.final


def _mean_rate(stage: PlannedStage) -> float:
    every = max(1, stage.num_steps // CURVE_POINTS)
    steps = range(0, stage.num_steps, every)
    return sum(_rate_at(stage, step) for step in steps) / len(steps)


def _sources(was: dict[str, Any], now: dict[str, Any]) -> dict[str, SourceChange]:
    return {
        name: SourceChange(
            tokens=_pair(
                *(one.get(name, {}).get("tokens_needed") for one in (was, now))
            ),
            epochs=_pair(*(one.get(name, {}).get("epochs") for one in (was, now))),
        )
        for name in sorted({*was, *now})
    }


def _pair(was: float | None, now: float | None) -> Pair:
    return Pair(was=was, now=now)
