"""Names and shapes of a model's tensors, and the rows in which a state holds them.

Layers are stacked: `block.attn.q` has one leading axis over all layers. In a training
state every layer of a tensor is flattened and cut into a fixed number of *rows*, with
zeros at the end. Rows are what is sharded over devices. Their number depends on the
stage alone, never on the devices, so a loop over rows is one program everywhere.

With tensor parallelism a tensor is first cut into *parts*, one for each device that
shares its products: matrices that come first in a pair by columns, those that come
second by rows, so that what lies between stays where it is (Shoeybi et al., 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from specs.plan import PlannedModel

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

NORMS = frozenset({"block.norm", "block.attn.norm", "block.ffn.norm", "final_norm"})
"""Scales of normalisations: they start at one and are not decayed."""

_STACKED = "block."

_SHARED_AXIS = {
    "embed": 0,
    "output": 0,
    "block.attn.q": 2,
    "block.attn.k": 2,
    "block.attn.v": 2,
    "block.attn.o": 1,
    "block.ffn.gate": 2,
    "block.ffn.up": 2,
    "block.ffn.down": 1,
}
"""Tensor name -> the axis along which tensor parallelism cuts it."""


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


def part_shapes(model: PlannedModel, num_parts: int) -> Shapes:
    """Return tensor name -> shape of the part that one of some devices has."""
    return {
        name: part_shape(name, shape, num_parts)
        for name, shape in tensor_shapes(model).items()
    }


def part_shape(name: str, shape: Shape, num_parts: int) -> Shape:
    """Return the shape of one part of a tensor; norms are not cut."""
    axis = _SHARED_AXIS.get(name)
    if axis is None:
        return shape
    return (*shape[:axis], shape[axis] // num_parts, *shape[axis + 1 :])


def parts_of(name: str, num_parts: int) -> int:
    """Return how many different parts a tensor has; 1 for norms."""
    return num_parts if name in _SHARED_AXIS else 1


def is_stacked(name: str) -> bool:
    """Tell whether a tensor's first axis is over layers."""
    return name.startswith(_STACKED)


def layer_shape(name: str, shape: Shape) -> Shape:
    """Return the shape of one layer of a tensor, or of the tensor if it has none."""
    return shape[1:] if is_stacked(name) else shape


def rows_shape(name: str, shape: Shape, num_rows: int) -> Shape:
    """Return the shape of a tensor, or of a part, in rows: ([layers,] R, K)."""
    length = -(-math.prod(layer_shape(name, shape)) // num_rows)
    layers = shape[:1] if is_stacked(name) else ()
    return (*layers, num_rows, length)


def to_rows(name: str, tensor: Array, num_rows: int) -> Array:
    """Cut each layer of a tensor into rows, padded with zeros at the end."""
    shape = rows_shape(name, tensor.shape, num_rows)
    flat = tensor.reshape(*shape[:-2], -1)
    padding = shape[-2] * shape[-1] - flat.shape[-1]
    if padding:
        flat = jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, padding)])
    return flat.reshape(shape)


def from_rows(rows: Array, shape: Shape) -> Array:
    """Put a tensor, or one layer, together again from all of its rows.

    Args:
        rows: ([layers,] R, K).
        shape: Of what comes out.
    """
    flat = rows.reshape(*rows.shape[:-2], -1)
    length = math.prod(shape[flat.ndim - 1 :])
    if flat.shape[-1] != length:
        flat = flat[..., :length]
    return flat.reshape(shape)


def host_rows(
    name: str, tensor: np.ndarray, *, num_parts: int, num_rows: int
) -> np.ndarray:
    """Cut a whole tensor into the parts and rows of a state: (P, [layers,] R, K)."""
    parts = np.split(tensor, parts_of(name, num_parts), _SHARED_AXIS.get(name, 0))
    shape = rows_shape(name, parts[0].shape, num_rows)
    flat = np.stack([part.reshape(*shape[:-2], -1) for part in parts])
    padding = shape[-2] * shape[-1] - flat.shape[-1]
    padded = np.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, padding)])
    return padded.reshape(len(parts), *shape)


def host_tensor(name: str, rows: np.ndarray, shape: Shape) -> np.ndarray:
    """Put a whole tensor together; the inverse of `host_rows`."""
    num_parts = rows.shape[0]
    one = part_shape(name, shape, num_parts)
    flat = rows.reshape(*rows.shape[:-2], -1)
    length = math.prod(layer_shape(name, one))
    parts = [part[..., :length].reshape(one) for part in flat]
    whole: np.ndarray = parts[0]
    if num_parts > 1:
        whole = np.concatenate(parts, _SHARED_AXIS[name])
    return whole


def all_to_rows(tensors: Mapping[str, Array], num_rows: int) -> dict[str, Array]:
    """Cut each of some tensors into rows."""
    return {name: to_rows(name, tensor, num_rows) for name, tensor in tensors.items()}


def all_from_rows(rows: Mapping[str, Array], shapes: Shapes) -> dict[str, Array]:
    """Put each of some tensors together again."""
    return {name: from_rows(rows[name], shapes[name]) for name in rows}


def float_bits(x: Array) -> Array:
    """Return the bit patterns of float32 or int32 elements as uint32."""
    return jax.lax.bitcast_convert_type(x, jnp.uint32)
