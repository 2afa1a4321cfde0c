"""Weights as the model wants them: matrices that read one input lie side by side.

One large product replaces several small ones. Where weights are gathered once per step
they are laid together then, by `fuse`, and gradients are taken apart again by `unfuse`.
Where they are gathered layer by layer, each layer lays its own together, from the rows
that `nest` hands to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from runtime.tensors import is_stacked
from specs.plan import PlannedModel

Parameters = dict[str, Any]
"""As Flax nests them."""

_Parts = tuple[tuple[str, ...], int]
"""Names of tensors and the axis, counted without layers, along which they join."""

_PARALLEL: dict[str, _Parts] = {
    "in": (
        (
            "block.attn.q",
            "block.attn.k",
            "block.attn.v",
            "block.ffn.gate",
            "block.ffn.up",
        ),
        1,
    ),
    "out": (("block.attn.o", "block.ffn.down"), 0),
    "norm": (("block.norm",), 0),
}
_SEQUENTIAL: dict[str, _Parts] = {
    "attn_norm": (("block.attn.norm",), 0),
    "attn_in": (("block.attn.q", "block.attn.k", "block.attn.v"), 1),
    "attn_out": (("block.attn.o",), 0),
    "ffn_norm": (("block.ffn.norm",), 0),
    "ffn_in": (("block.ffn.gate", "block.ffn.up"), 1),
    "ffn_out": (("block.ffn.down",), 0),
}


def fused_parts(model: PlannedModel) -> dict[str, _Parts]:
    """Return fused name -> what lies side by side in it."""
    return _PARALLEL if model.block == "parallel" else _SEQUENTIAL


def fuse(model: PlannedModel, tensors: Mapping[str, Array]) -> Parameters:
    """Lay tensors that share an input side by side."""
    blocks = {
        name: jnp.concatenate([tensors[part] for part in parts], axis + 1)
        if len(parts) > 1
        else tensors[parts[0]]
        for name, (parts, axis) in fused_parts(model).items()
    }
    return {"params": {"blocks": blocks, **_outside_blocks(tensors)}}


def unfuse(
    model: PlannedModel, fused: Parameters, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Take apart what `fuse` put together.

    Args:
        model: The sizes.
        fused: Whole tensors, or parts of them.
        shapes: Of the tensors, or of those parts.
    """
    params = dict(fused["params"])
    blocks = params.pop("blocks")
    tensors = params
    for name, (parts, axis) in fused_parts(model).items():
        stops = np.cumsum([shapes[part][axis + 1] for part in parts])[:-1]
        pieces = jnp.split(blocks[name], stops.tolist(), axis + 1)
        tensors |= dict(zip(parts, pieces, strict=True))
    return {name: tensors[name] for name in shapes}


def nest(rows: Mapping[str, Array]) -> Parameters:
    """Nest rows of tensors as Flax nests parameters."""
    blocks = {name: x for name, x in rows.items() if is_stacked(name)}
    return {"params": {"blocks": blocks, **_outside_blocks(rows)}}


def flatten(nested: Parameters) -> dict[str, Array]:
    """Return what `nest` put together, by tensor name."""
    params = dict(nested["params"])
    return {**params.pop("blocks"), **params}


def _outside_blocks(tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {name: x for name, x in tensors.items() if not is_stacked(name)}
