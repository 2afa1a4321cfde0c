"""Names and shapes of a model's tensors, and the rows in which a state holds them.

Layers are stacked: `block.attn.q` has one leading axis over all layers. In a training
state each tensor is flattened and cut into a fixed number of *rows*, padded with zeros
at the end. Rows are what is sharded over devices. Their number depends on the stage
alone, never on the devices, so a loop over rows is one program everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from specs.plan import PlannedModel

Shapes = dict[str, tuple[int, ...]]

NORMS = frozenset({"block.norm", "block.attn.norm", "block.ffn.norm", "final_norm"})
"""Scales of normalisations: they start at one and are not decayed."""


def tensor_shapes(model: PlannedModel) -> Shapes:
    """Return tensor name -> shape, in the order of the computation."""
    layers, width, ffn_width = model.layers, model.width, model.ffn_width
    head_width = width // model.heads
    kv_width = model.kv_heads * head_width
    if model.block == "parallel":
        norms: Shapes = {"block.norm": (layers, width)}
    else:
        norms = {
            "block.attn.norm": (layers, width),
            "block.ffn.norm": (layers, width),
        }
    shapes: Shapes = {
        "embed": (model.vocab_size, width),
        **norms,
        "block.attn.q": (layers, width, width),
        "block.attn.k": (layers, width, kv_width),
        "block.attn.v": (layers, width, kv_width),
        "block.attn.o": (layers, width, width),
        "block.ffn.gate": (layers, width, ffn_width),
        "block.ffn.up": (layers, width, ffn_width),
        "block.ffn.down": (layers, ffn_width, width),
        "final_norm": (width,),
    }
    if not model.tied_embeddings:
        shapes["output"] = (model.vocab_size, width)
    return shapes


def to_rows(tensor: Array, num_rows: int) -> Array:
    """Cut a tensor into rows of equal length, padded with zeros at the end."""
    flat = tensor.reshape(-1)
    padding = -flat.size % num_rows
    if padding:
        flat = jnp.concatenate([flat, jnp.zeros((padding,), flat.dtype)])
    return flat.reshape(num_rows, -1)


def from_rows(rows: Array, shape: tuple[int, ...]) -> Array:
    """Put a tensor together again from all of its rows."""
    flat = rows.reshape(-1)
    size = math.prod(shape)
    if flat.size != size:
        flat = flat[:size]
    return flat.reshape(shape)


def all_to_rows(tensors: Mapping[str, Array], num_rows: int) -> dict[str, Array]:
    """Cut each of some tensors into rows."""
    return {name: to_rows(tensor, num_rows) for name, tensor in tensors.items()}


def all_from_rows(rows: Mapping[str, Array], shapes: Shapes) -> dict[str, Array]:
    """Put each of some tensors together again."""
    return {name: from_rows(rows[name], shapes[name]) for name in rows}


def row_lengths(shapes: Shapes, num_rows: int) -> dict[str, int]:
    """Return tensor name -> elements per row."""
    return {name: -(-math.prod(shape) // num_rows) for name, shape in shapes.items()}


def float_bits(x: Array) -> Array:
    """Return the bit patterns of float32 or int32 elements as uint32."""
    return jax.lax.bitcast_convert_type(x, jnp.uint32)
