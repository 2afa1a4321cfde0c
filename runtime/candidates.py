"""The choices that a spec leaves for a slice, the quickest first by formula.

In the order of the step time that `runtime.forecast` gives; among equals, what sends
less and then what needs less memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.accelerators import Slice, slices_of
from runtime.forecast import Spread, memory_bytes, sequences_at_once
from runtime.roofline import StepTime, forecast_time
from specs.errors import InputError
from specs.experiment import Experiment
from specs.left_open import Choice, LeftOpen, choices
from specs.plan import Plan, PlannedStage
from specs.resolve import plan_experiment


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A choice, and what the formulas say of it."""

    choice: Choice
    plan: Plan
    """With the choice written out."""
    spread: Spread
    memory: int
    """Bytes per device, a lower bound."""
    sequences_at_once: int
    """The most of any stage that a device works on at once."""
    time: StepTime
    """Of a step of the first stage."""


def candidates_for(
    experiment: Experiment, is_open: LeftOpen, where: Slice
) -> list[Candidate]:
    """Return all choices that the spec leaves, the quickest first.

    Raises:
        InputError: The slice has more devices than the batch has lanes, or fewer than
            the spec asks for.
    """
    parallel, batch = experiment.parallel, experiment.batch
    lanes_at_once = where.num_devices // parallel.tensor
    if lanes_at_once < parallel.slices:
        raise _too_few_devices(experiment, where)
    if parallel.slices % where.count:
        raise InputError(
            f"{where.name} is {where.count} slices, but parallel.slices is "
            f"{parallel.slices}: weights would be gathered over their network",
            path="--on",
            fix=f"set parallel.slices to {where.count}; it changes no number",
        )
    found = [
        _candidate(experiment, choice, where)
        for choice in choices(experiment, is_open, lanes_at_once * batch.accumulation)
    ]
    fitting = [one for one in found if _most_devices(one.plan) >= lanes_at_once]
    if not fitting:
        raise _too_many_devices(experiment, is_open, where)
    return sorted(
        fitting,
        key=lambda one: (one.time.seconds, one.time.interconnect, one.memory),
    )


def _candidate(experiment: Experiment, choice: Choice, where: Slice) -> Candidate:
    plan = plan_experiment(choice.apply(experiment))
    spread = Spread(
        where=where,
        slices=experiment.parallel.slices,
        gather=choice.gather,
        tensor=plan.tensor,
    )
    stages = list(distinct_stages(plan).values())
    return Candidate(
        choice=choice,
        plan=plan,
        spread=spread,
        memory=max(memory_bytes(plan, stage, spread) for stage in stages),
        sequences_at_once=max(sequences_at_once(plan, one, spread) for one in stages),
        time=forecast_time(plan, stages[0], spread),
    )


def distinct_stages(plan: Plan) -> dict[tuple[int, ...], PlannedStage]:
    """Return one stage for each shape of batch: the others compile to the same."""
    found: dict[tuple[int, ...], PlannedStage] = {}
    for stage in plan.stages:
        found.setdefault(shape_of_batch(stage), stage)
    return found


def shape_of_batch(stage: PlannedStage) -> tuple[int, ...]:
    """Return what of a stage decides its program, given the plan."""
    sizes = (stage.sequences_per_step, stage.sequence_length, stage.lane_sequences)
    return (*sizes, stage.accumulation, len(stage.remat))


def _too_few_devices(experiment: Experiment, where: Slice) -> InputError:
    parallel = experiment.parallel
    needed = parallel.tensor * parallel.slices
    return InputError(
        f"{where.name} has {where.num_devices} devices, but parallel.tensor * "
        f"parallel.slices = {needed}",
        path="--on",
        fix=f"use a slice of at least {needed} devices, or lower one of them",
    )


def _too_many_devices(
    experiment: Experiment, is_open: LeftOpen, where: Slice
) -> InputError:
    batch, tensor = experiment.batch, experiment.parallel.tensor
    lane = 1 if is_open.lane else batch.lane
    plan = plan_experiment(experiment)
    others = [stage for stage in plan.stages if stage.lane_sequences != batch.lane]
    most = min(
        [
            _power_of_two(batch.sequences // lane) // batch.accumulation,
            *(stage.num_lanes // stage.accumulation for stage in others),
        ]
    )
    names = [
        one.name for one in slices_of(where.family) if one.num_devices <= most * tensor
    ]
    fix = f"use {names[-1]}" if names else "raise batch.sequences"
    return InputError(
        f"{where.name} has {where.num_devices} devices, but the batch has lanes for "
        f"{most * tensor}",
        path="--on",
        fix=fix if is_open.lane else f"{fix}, or make batch.lane smaller",
    )


def _power_of_two(number: int) -> int:
    """Return the largest power of two that divides a number."""
    return number & -number


def _most_devices(plan: Plan) -> int:
    return min(stage.num_lanes // stage.accumulation for stage in plan.stages)
