"""What an experiment takes on a slice, as one plain JSON object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from runtime.choose import Fit, Tried
from runtime.compiled import CompiledStep
from runtime.forecast import Spread, memory_bytes
from runtime.roofline import ASSUMPTIONS, model_flops_utilisation, time_of_step
from specs.left_open import LeftOpen
from specs.plan import Plan, PlannedStage

SECONDS_PER_HOUR = 3600


def slice_report(fit: Fit, is_open: LeftOpen, price: float | None) -> dict[str, Any]:
    """Return what a fit comes to.

    Args:
        fit: The choice and its compiled steps.
        is_open: What of the choice the spec left open.
        price: Of a chip-hour, in any currency.

    Returns:
        Plain JSON. Bytes are per device, seconds and speeds of the whole slice.
    """
    where = fit.spread.where
    stages = [_stage_report(fit, stage, price) for stage in fit.plan.stages]
    return {
        "slice": {
            "name": where.name,
            "chip": where.chip.title,
            "grid": list(where.grid),
            "num_chips": where.num_chips,
            "num_devices": where.num_devices,
            "memory_bytes": where.chip.memory_bytes // where.chip.devices,
        },
        "choice": asdict(fit.choice),
        "left_open": [name for name, open_ in asdict(is_open).items() if open_],
        "tried": [_tried_report(one) for one in fit.tried],
        "is_compiled": all(step is not None for step in fit.steps.values()),
        "assumptions": ASSUMPTIONS,
        "stages": stages,
        "wall_seconds": sum(stage["wall_seconds"] for stage in stages),
        "chip_hours": sum(stage["chip_hours"] for stage in stages),
        "cost": None if price is None else sum(stage["cost"] for stage in stages),
    }


def _stage_report(fit: Fit, stage: PlannedStage, price: float | None) -> dict[str, Any]:
    where, step = fit.spread.where, fit.steps[stage.name]
    time = time_of_step(fit.plan, stage, fit.spread, step)
    tokens = stage.sequences_per_step * stage.sequence_length
    wall = time.seconds * stage.num_steps
    chip_hours = wall * where.num_chips / SECONDS_PER_HOUR
    return {
        "name": stage.name,
        "num_steps": stage.num_steps,
        "memory": _memory(fit.plan, stage, fit.spread, step),
        "collectives": _collectives(step),
        "unknown_loops": 0 if step is None else step.unknown_loops,
        "step_seconds": time.seconds,
        "bound": time.bound,
        "compute_seconds": time.compute,
        "memory_seconds": time.memory,
        "interconnect_seconds": time.interconnect,
        "tokens_per_second": tokens / time.seconds,
        "model_flops_utilisation": model_flops_utilisation(
            fit.plan, stage, where, time.seconds
        ),
        "wall_seconds": wall,
        "chip_hours": chip_hours,
        "cost": None if price is None else chip_hours * price,
    }


def _memory(
    plan: Plan, stage: PlannedStage, spread: Spread, step: CompiledStep | None
) -> dict[str, int]:
    if step is None:
        return {"peak_bytes": memory_bytes(plan, stage, spread)}
    return {
        "argument_bytes": step.argument_bytes,
        "temporary_bytes": step.temporary_bytes,
        "peak_bytes": step.peak_bytes,
        "traffic_bytes": step.traffic_bytes,
    }


def _collectives(step: CompiledStep | None) -> dict[str, dict[str, float]]:
    if step is None:
        return {}
    return {kind: asdict(moved) for kind, moved in step.collectives.items()}


def _tried_report(one: Tried) -> dict[str, Any]:
    return {
        **asdict(one.choice),
        "fits": one.fits,
        "needed_bytes": one.needed_bytes,
        "by": one.by,
        "step_seconds": one.step_seconds,
    }
