"""The canary: a moment of fixed arithmetic whose digest tells machines apart.

It is the loss and the gradients of one lane, at the model's own shapes, on weights and
tokens that depend on nothing else. Two machines with one digest round alike, as far as
this can tell; where digests differ, bit-exact replays are not to be hoped for.
"""

from __future__ import annotations

import jax
import numpy as np

from runtime.attention import build_attention
from runtime.blocks import LaneProgram, logits_at_once
from runtime.fingerprint import fingerprint_arrays
from runtime.fused import fuse
from runtime.initialise import initial_tensors
from runtime.model import lane_gradients
from specs.errors import InputError
from specs.plan import Plan

REPEATS = 3
"""A machine whose repeats differ can't be exact with anybody, itself included."""

MOST_LAYERS = 2
"""Layers are alike; more of them would only take longer."""

_SEED = 0

_EOS = 1


def canary_digest(plan: Plan) -> str:
    """Return the fingerprint of the fixed arithmetic, 32 hex digits.

    Raises:
        InputError: Repeats of the same arithmetic differ on this machine.
    """
    layers = min(MOST_LAYERS, plan.model.layers)
    model = plan.model.model_copy(update={"layers": layers})
    fused = fuse(model, dict(initial_tensors(model, _SEED)))
    stage = plan.stages[0]
    shape = (stage.lane_sequences, stage.sequence_length + 1)
    tokens = np.arange(shape[0] * shape[1], dtype=np.int32) * 7919 % model.vocab_size
    platform = jax.default_backend()
    length = stage.sequence_length
    attention = build_attention(model, platform=platform, length=length, eos_id=_EOS)
    program = LaneProgram(
        model,
        attention,
        remat=stage.remat,
        logits_at_once=logits_at_once(platform),
    )
    compute = jax.jit(lambda weights, part: lane_gradients(program, weights, part))
    found = set()
    for _ in range(REPEATS):
        leaves = jax.tree.leaves(compute(fused, tokens.reshape(shape)))
        arrays = {str(index): np.asarray(leaf) for index, leaf in enumerate(leaves)}
        found.add(fingerprint_arrays(arrays))
    if len(found) > 1:
        raise InputError(
            f"the same arithmetic gave {len(found)} different results in {REPEATS} "
            "repeats on this machine, so nothing exact can be promised here",
            fix="set determinism: fast, or use another machine or jaxlib",
        )
    return found.pop()
