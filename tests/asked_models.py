"""Tiny models with weights, to be asked, for tests of scoring and generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
import plans

from runtime.attention import Attention
from runtime.blocks import LaneProgram
from runtime.fused import fuse
from runtime.initialise import initial_tensors
from runtime.mesh import mesh_of
from runtime.model import logits
from runtime.scored_model import AskedModel, ModelPrograms
from runtime.state import build_layout, initial_state
from specs.plan import Plan

EOS = 5

LENGTH = 64

MODELS: dict[str, dict[str, Any]] = {
    "parallel": {},
    "sequential": {
        "block": "sequential",
        "norm": "rmsnorm",
        "kv_heads": 2,
        "tied_embeddings": False,
        "attention_mask": "document",
    },
    "shared": {"kv_heads": 1, "compute": "bfloat16"},
    "tensor": {"vocab_size": 96, "kv_heads": 2, "tensor": 2},
}


@dataclass(frozen=True)
class Tiny:
    """A model that can be asked, and what it was made of."""

    plan: Plan
    model: AskedModel

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits of the token after each one, (L, V), in one plain forward pass."""
        # What comes after a token changes nothing: one shape serves all.
        padded = np.zeros((1, LENGTH), np.int32)
        padded[0, : len(tokens)] = tokens
        return np.asarray(self._forward(padded))[0, : len(tokens)]

    @cached_property
    def _forward(self) -> Any:
        planned = self.plan.model
        weights = dict(initial_tensors(planned, self.plan.seed))
        is_document = planned.attention_mask == "document"
        attention = Attention("xla", EOS if is_document else None)
        program = LaneProgram(planned, attention)
        return jax.jit(partial(logits, program, fuse(planned, weights)))


def tiny(kind: str = "parallel", num_devices: int = 1, way: str = "step") -> Tiny:
    """Make a model with its initial weights.

    Args:
        kind: One of `MODELS`.
        num_devices: Devices to lay it on.
        way: `step` and `layer` gather so; `slices` has copies, and gathers by layer.
    """
    stage = plans.stage(sequence_length=LENGTH, sequences_per_step=16, remat="block")
    plan = plans.plan(stage, **MODELS[kind])
    num_slices = 2 if way == "slices" else 1
    mesh = mesh_of(jax.devices()[:num_devices], plan, num_slices)
    layout = build_layout(plan, stage, mesh, "step" if way == "step" else "layer")
    programs = ModelPrograms(plan, stage, layout, EOS)
    return Tiny(plan, AskedModel(programs, initial_state(plan, layout).weights))
