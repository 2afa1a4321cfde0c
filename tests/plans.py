"""Small plans made by hand, for tests that need no spec."""

from __future__ import annotations

import math
from typing import Any

from runtime.tensors import tensor_shapes
from specs.plan import Plan, PlannedModel, PlannedOptimizer, PlannedRate, PlannedStage


def model(**changes: Any) -> PlannedModel:
    fields = {
        "layers": 2,
        "width": 32,
        "heads": 4,
        "kv_heads": 4,
        "ffn_width": 48,
        "vocab_size": 97,
        "block": "parallel",
        "norm": "layernorm",
        "norm_epsilon": "1e-05",
        "rope_theta": "10000.0",
        "attention_mask": "causal",
        "tied_embeddings": True,
        "init": "glorot_normal",
        "compute": "float32",
    }
    return PlannedModel(**{**fields, **changes})


def rate(peak: str = "0.01") -> PlannedRate:
    return PlannedRate(
        schedule="constant",
        warmup_steps=0,
        warmup_from="0.0",
        peak=peak,
        final=peak,
        decay_steps=0,
        decay="none",
    )


def optimizer(**changes: Any) -> PlannedOptimizer:
    fields = {
        "kind": "adamw",
        "beta1": "0.9",
        "beta2": "0.95",
        "epsilon": "1e-08",
        "weight_decay": "0.1",
        "clip_norm": "1.0",
    }
    return PlannedOptimizer(**{**fields, **changes})


def stage(
    name: str = "first", start_step: int = 0, stop_step: int = 4, **changes: Any
) -> PlannedStage:
    fields = {
        "name": name,
        "start_step": start_step,
        "stop_step": stop_step,
        "sequences_per_step": 8,
        "sequence_length": 16,
        "lane_sequences": 1,
        "accumulation": 1,
        "remat": "none",
        "sequences": {"text": 8 * (stop_step - start_step)},
        "start_tokens": {"text": 0},
        "learning_rate": rate(),
        "optimizer": "reset" if start_step == 0 else "keep",
    }
    return PlannedStage(**{**fields, **changes})


def plan(
    *stages: PlannedStage,
    determinism: Any = "exact",
    tensor: int = 1,
    adamw: PlannedOptimizer | None = None,
    **model_changes: Any,
) -> Plan:
    planned = model(**model_changes)
    shapes = tensor_shapes(planned)
    return Plan(
        plan=1,
        spec_digest="0" * 64,
        seed=7,
        model=planned,
        optimizer=adamw or optimizer(),
        shuffle_unit=16,
        sources={},
        stages=stages or (stage(),),
        determinism=determinism,
        tensor=tensor,
        num_parameters=sum(math.prod(shape) for shape in shapes.values()),
    )
