"""How long a step takes: the largest of what computing, memory and links need.

Peaks are the makers'; the shares of them that a step reaches are assumptions, stated
here and printed with every result. Where the compiler's own estimate of its operations
is known it counts too, and usually decides: it knows about everything that is no matrix
product.

Nothing of this was measured on the accelerators themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.accelerators import GPUS_PER_NODE, Slice
from runtime.compiled import CompiledStep
from runtime.forecast import (
    Spread,
    attention_flops,
    expected_collectives,
    matrix_flops,
    traffic_bytes,
)
from runtime.interconnect import Interconnect, Place
from specs.costs import flops_per_token
from specs.plan import Plan, PlannedStage

MATRIX_EFFICIENCY = 0.6
"""Of peak operations, in matrix products outside of attention."""

ATTENTION_EFFICIENCY = 0.4
"""Of peak operations, in the attention kernel."""

MEMORY_EFFICIENCY = 0.8
"""Of the bandwidth of memory."""

LINK_EFFICIENCY = 0.8
"""Of the bandwidth of links."""

ASSUMPTIONS = {
    "matrix_efficiency": MATRIX_EFFICIENCY,
    "attention_efficiency": ATTENTION_EFFICIENCY,
    "memory_efficiency": MEMORY_EFFICIENCY,
    "link_efficiency": LINK_EFFICIENCY,
}


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds that each part of a step needs, if nothing else were in the way."""

    compute: float
    memory: float
    interconnect: float

    @property
    def seconds(self) -> float:
        """The largest: all else is taken to go on at the same time."""
        return max(self.compute, self.memory, self.interconnect)

    @property
    def bound(self) -> str:
        """Which of them it is."""
        return max(vars(self), key=lambda name: vars(self)[name])


def forecast_time(plan: Plan, stage: PlannedStage, spread: Spread) -> StepTime:
    """Return the time of a step by formula alone."""
    where = spread.where
    traffic = traffic_bytes(plan, stage, spread)
    sent = list(expected_collectives(plan, stage, spread))
    links = Interconnect(where, row_by_row(where))
    return StepTime(
        compute=_formula_seconds(plan, stage, where),
        memory=traffic / _memory_bandwidth(where),
        interconnect=links.seconds(sent) / LINK_EFFICIENCY,
    )


def time_of_step(
    plan: Plan, stage: PlannedStage, spread: Spread, step: CompiledStep | None
) -> StepTime:
    """Return the time of a step as it was compiled, or by formula if it was not."""
    if step is None:
        return forecast_time(plan, stage, spread)
    return compiled_time(plan, stage, spread.where, step)


def compiled_time(
    plan: Plan, stage: PlannedStage, where: Slice, step: CompiledStep
) -> StepTime:
    """Return the time of a step that was compiled."""
    formula = _formula_seconds(plan, stage, where)
    compilers = step.cycles / where.chip.clock
    if step.kernels:
        attention = attention_flops(plan.model, stage)
        compilers += attention / (_flops(where) * ATTENTION_EFFICIENCY)
    return StepTime(
        compute=max(formula, compilers),
        memory=step.traffic_bytes / _memory_bandwidth(where),
        interconnect=sum(one.seconds for one in step.collectives.values())
        / LINK_EFFICIENCY,
    )


def model_flops_utilisation(
    plan: Plan, stage: PlannedStage, where: Slice, seconds: float
) -> float:
    """Return the share of peak that the model's own operations make up.

    Operations as in `specs.costs.training_flops`: the whole square of attention counts,
    and what is computed twice counts once.
    """
    tokens = stage.sequences_per_step * stage.sequence_length
    flops = tokens * flops_per_token(plan.model, stage.sequence_length)
    return flops / (seconds * _flops(where))


def row_by_row(where: Slice) -> list[Place]:
    """Return the places of a slice's devices in the order that the compiler has.

    Slice by slice, the first axis fastest; GPUs node by node.
    """
    if where.chip.kind == "gpu":
        return [divmod(device, GPUS_PER_NODE) for device in range(where.num_devices)]
    places = []
    for number in range(where.num_chips):
        place, rest = [], number
        for size in where.grid:
            rest, along = divmod(rest, size)
            place.append(along)
        places += [(rest, *place)] * where.chip.devices
    return places


def _formula_seconds(plan: Plan, stage: PlannedStage, where: Slice) -> float:
    products = matrix_flops(plan.model, stage) / MATRIX_EFFICIENCY
    attention = attention_flops(plan.model, stage) / ATTENTION_EFFICIENCY
    return (products + attention) / _flops(where)


def _flops(where: Slice) -> float:
    return where.num_chips * where.chip.flops


def _memory_bandwidth(where: Slice) -> float:
    """Return what one device may use."""
    return where.chip.memory_bandwidth / where.chip.devices * MEMORY_EFFICIENCY
