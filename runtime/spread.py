"""How a lane comes by the weights that other devices hold, and gives gradients back.

Weights reach the layers as `Matrix`: either whole, because everything was gathered at
the start of the step, or as this device's rows of tensors. Rows are gathered where they
are used, once in each pass, in the format that they are used in; their gradient is
summed over the devices on the spot, and each device keeps its rows of the sum. Either
way a product sees the same numbers.
"""

# R rows here, K elements of a row

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.numerics import (
    BATCH,
    TENSOR,
    exact_sum_everywhere,
    exact_sum_scattered,
)
from runtime.tensors import Shape, from_rows, to_rows


@dataclass(frozen=True)
class Spread:
    """The devices that share a lane's weights and products; static in a program."""

    num_shares: int = 1
    """Devices that the rows are spread over."""
    num_parts: int = 1
    """Devices that share each product."""
    is_exact: bool = True
    is_by_layer: bool = False
    """Whether weights are gathered layer by layer."""

    def gathered(self, rows: Array, shape: Shape, dtype: Any) -> Array:
        """Put one layer together from the rows (R, K) of all devices."""
        # Rounding first moves half the bytes, and rounds nothing otherwise.
        rows = rows.astype(dtype)
        if self.num_shares > 1:
            rows = lax.all_gather(rows, BATCH, axis=0, tiled=True)
        return from_rows(rows, shape)

    def share_of_sum(self, rows: Array) -> Array:
        """Sum all rows (..., R, K) over devices, and keep this device's share."""
        if self.is_exact:
            # What made them must not be rounded together with the sum.
            rows = lax.optimization_barrier(rows)
            return exact_sum_scattered(rows, BATCH, self.num_shares)
        shared: Array = lax.psum_scatter(
            rows, BATCH, scatter_dimension=rows.ndim - 2, tiled=True
        )
        return shared

    def sum_of_parts(self, x: Array) -> Array:
        """Sum over the devices that share a product."""
        if self.num_parts == 1:
            return x
        if self.is_exact:
            return exact_sum_everywhere(x, TENSOR, self.num_parts)
        summed: Array = lax.psum(x, TENSOR)
        return summed

    def max_of_parts(self, x: Array) -> Array:
        """Take the largest over the devices that share a product; exact."""
        return x if self.num_parts == 1 else lax.pmax(x, TENSOR)

    def part_index(self) -> Array:
        """Return which part of the products this device has, int32."""
        return lax.axis_index(TENSOR) if self.num_parts > 1 else jnp.int32(0)


ALONE = Spread()
"""A device that has everything."""


@dataclass(frozen=True)
class Pieces:
    """The tensors that lie side by side in one matrix; static in a program."""

    shapes: tuple[Shape, ...]
    axis: int
    spread: Spread


@partial(
    jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["pieces"]
)
@dataclass(frozen=True)
class Matrix:
    """A matrix or a vector of weights of one layer."""

    arrays: tuple[Array, ...]
    """The float32 matrix itself, or float32 rows (R, K) of each of its tensors."""
    pieces: Pieces | None
    """None where the matrix is whole."""

    def whole(self, dtype: Any) -> Array:
        """Return the matrix in the format that it is used in."""
        if self.pieces is None:
            return self.arrays[0].astype(dtype)
        spread = self.pieces.spread
        found = [
            spread.gathered(rows, shape, dtype)
            for rows, shape in zip(self.arrays, self.pieces.shapes, strict=True)
        ]
        if len(found) == 1:
            return found[0]
        return jnp.concatenate(found, self.pieces.axis)

    def gradient(self, whole: Array) -> Matrix:
        """Turn a float32 gradient of the whole into one of what is held here."""
        if self.pieces is None:
            return Matrix((whole,), None)
        pieces = self.pieces
        stops = np.cumsum([shape[pieces.axis] for shape in pieces.shapes])[:-1]
        split = jnp.split(whole, stops.tolist(), pieces.axis)
        num_shares = pieces.spread.num_shares
        arrays = tuple(
            pieces.spread.share_of_sum(_rows(grad, rows.shape[0] * num_shares))
            for rows, grad in zip(self.arrays, split, strict=True)
        )
        return Matrix(arrays, pieces)


def whole_matrix(array: Array) -> Matrix:
    """Wrap a matrix that is held whole."""
    return Matrix((array,), None)


def matrix_of_rows(
    rows: Sequence[Array], shapes: Sequence[Shape], axis: int, spread: Spread
) -> Matrix:
    """Wrap this device's rows of tensors that lie side by side along an axis."""
    return Matrix(tuple(rows), Pieces(tuple(shapes), axis, spread))


@jax.custom_vjp
def vector(matrix: Matrix) -> Array:
    """Return a float32 vector of weights."""
    return matrix.whole(jnp.float32)


vector.defvjp(
    lambda matrix: (vector(matrix), matrix),
    lambda matrix, grad: (matrix.gradient(grad),),
)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def shared_input(x: Array, spread: Spread) -> Array:
    """Pass on what several devices use: its gradient is the sum of theirs."""
    return x


shared_input.defvjp(
    lambda x, spread: (x, None),
    lambda spread, _, grad: (spread.sum_of_parts(grad),),
)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def joined_output(x: Array, spread: Spread) -> Array:
    """Sum what several devices made parts of: each has the gradient of the sum."""
    return spread.sum_of_parts(x)


joined_output.defvjp(
    lambda x, spread: (joined_output(x, spread), None),
    lambda spread, _, grad: (grad,),
)


def _rows(grad: Array, num_rows: int) -> Array:
    return to_rows("", grad, num_rows)
