"""What a lane's activations take between the two passes, and how much to keep of them.

The formula counts what the model's blocks keep for the backward pass, at the width of
the compute format. It needs no device: the choice decides rounding, so it must be the
same on a laptop and on a pod.
"""

from __future__ import annotations

from typing import Literal

from specs.plan import PlannedModel
from specs.stages import Batch

Remat = Literal["none", "attention", "block"]

REMATS: tuple[Remat, ...] = ("none", "attention", "block")
"""The fastest first; each keeps less than the one before."""

KEPT_BYTES = 4 * 1024**3
"""What a lane may keep for the backward pass by default: a quarter of the smallest
accelerator memory that is common, 16 GiB."""


def choose_remat(model: PlannedModel, batch: Batch, tensor: int) -> Remat:
    """Return what a spec says, or the first that keeps at most `KEPT_BYTES`."""
    if batch.remat != "auto":
        return batch.remat
    for remat in REMATS[:-1]:
        if kept_bytes(model, remat, batch.lane * batch.length, tensor) <= KEPT_BYTES:
            return remat
    return REMATS[-1]


def kept_bytes(model: PlannedModel, remat: Remat, num_tokens: int, tensor: int) -> int:
    """Return the bytes that all blocks of a device keep for the backward pass.

    Per token and block: the block's input; unless `remat` is `block` also what
    attention mixed and its log-sum-exp; and where it is `none` queries, keys, values,
    gate and up, and a sequential block's second input. Tensor parallelism divides all
    but the inputs. On CPU, keys and values of shared heads are kept once per head, so
    grouped queries keep more there than this says.

    Args:
        model: The sizes.
        remat: What is computed again.
        num_tokens: Tokens of a lane.
        tensor: Degree of tensor parallelism.
    """
    width = 2 if model.compute == "bfloat16" else 4
    inputs = model.width * width
    if remat == "block":
        return num_tokens * model.layers * inputs
    shared = model.width * width + 4 * model.heads
    if remat == "none":
        key_width = model.width // model.heads * model.kv_heads
        shared += (model.width + 2 * key_width + 2 * model.ffn_width) * width
        inputs *= 1 if model.block == "parallel" else 2
    return num_tokens * model.layers * (inputs + shared // tensor)
