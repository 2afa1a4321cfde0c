"""A plan as people and programs want to read it: one plain JSON object."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from specs.costs import (
    SourceUse,
    checkpoint_bytes,
    embedding_parameters,
    source_uses,
    training_flops,
)
from specs.lock import Lock
from specs.plan import Plan, PlannedStage


def plan_report(plan: Plan, lock: Lock | None) -> dict[str, Any]:
    """Return what a plan comes to and costs.

    Args:
        plan: The plan.
        lock: The spec's lock, for the epochs; None where there is none yet.

    Returns:
        Plain JSON. Numbers are exact but for `training_flops` and `epochs`, which are
        floats: the first is an estimate and too large for a JSON integer.
    """
    return {
        "plan_digest": plan.digest,
        "spec_digest": plan.spec_digest,
        "num_parameters": plan.num_parameters,
        "num_embedding_parameters": embedding_parameters(plan.model),
        "num_steps": plan.num_steps,
        "num_tokens": plan.num_tokens,
        "training_flops": float(training_flops(plan)),
        "checkpoint_bytes": checkpoint_bytes(plan),
        "stages": [_stage_report(stage) for stage in plan.stages],
        "sources": {
            name: _source_report(use) for name, use in source_uses(plan, lock).items()
        },
    }


def _stage_report(stage: PlannedStage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "start_step": stage.start_step,
        "stop_step": stage.stop_step,
        "num_steps": stage.num_steps,
        "num_tokens": stage.num_tokens,
        "num_sequences": stage.num_sequences,
        "sequences_per_step": stage.sequences_per_step,
        "sequence_length": stage.sequence_length,
        "lane_sequences": stage.lane_sequences,
        "remat": stage.remat,
        "sequences": stage.sequences,
        "learning_rate": stage.learning_rate.to_json(),
        "optimizer": stage.optimizer,
    }


def _source_report(use: SourceUse) -> dict[str, Any]:
    return {
        "tokens_needed": use.tokens_needed,
        "tokens_per_epoch": use.tokens_per_epoch,
        "epochs": _rounded(use.epochs),
        "max_epochs": _rounded(use.max_epochs),
    }


def _rounded(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), 4)
