"""Exact sums: float32 sums over the lanes of a batch with the same bits on any devices.

A sum over lanes is one fixed binary tree. Lane 0 is added to lane 1, 2 to 3, and so on;
then pairs to pairs, up to the root. A device works through an aligned block of lanes,
which is a subtree; devices then go on with the same tree, neighbours first. The sum of
two floats commutes, so every layout computes the very same tree.

For the numbers to be the same the *program* of a lane must be the same too: a compiler
that sees a loop of one turn takes the loop away, fuses what is left otherwise, and
rounds differently. So every loop here has a number of turns that is known only at run
time (`Turns`), and nothing that is computed in one loop is rounded in another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

NUMERICS_VERSION = "2"
"""Changes whenever the same plan and data give other bits than before."""

SLICE = "slice"
"""The mesh axis of copies of the state: each has lanes of its own."""

BATCH = "batch"
"""The mesh axis that lanes, weights and optimizer state are spread over."""

TENSOR = "tensor"
"""The mesh axis that shares each matrix product; part of the numerics."""

Tree = TypeVar("Tree")


class Turns(NamedTuple):
    """Numbers of loop turns, int32 scalars that the compiler must not know."""

    one: Array
    two: Array
    rows: Array
    """Rows of each tensor on this device."""


def turns(rows: int) -> Turns:
    """Make the arguments of a jitted function that fills in `Turns`."""
    return Turns(np.int32(1), np.int32(2), np.int32(rows))  # type: ignore[arg-type]


def exact_sum(
    value_of_lane: Callable[[Array], Tree],
    zeros: Tree,
    *,
    num_lanes: int,
    turns: Turns,
) -> Tree:
    """Sum up float32 values over this device's lanes, by the fixed tree.

    Go on with `exact_sum_scattered` or `exact_sum_everywhere` over the devices.

    Args:
        value_of_lane: Maps a lane's index on this device, an int32 scalar, to arrays.
        zeros: Arrays of the shapes and types that it returns.
        num_lanes: Lanes on this device, a power of two.
        turns: One and two, unknown to the compiler.
    """
    levels = num_lanes.bit_length() - 1

    # `partial` holds one tree of arrays per level; the last is the sum so far. Old
    # values are overwritten, so the buffers are made once, not once per lane.
    def sum_of_block(
        level: int, first: Array, partial: tuple[Tree, ...]
    ) -> tuple[Tree, ...]:
        if level == 0:

            def lane(turn: Array, _: tuple[Tree, ...]) -> tuple[Tree, ...]:
                return (value_of_lane(first + turn),)

            alone: tuple[Tree, ...] = lax.fori_loop(0, turns.one, lane, partial)
            return alone

        def add_half(half: Array, partial: tuple[Tree, ...]) -> tuple[Tree, ...]:
            start = first + half * np.int32(1 << (level - 1))
            *lower, value = sum_of_block(level - 1, start, partial[:-1])
            total = jax.tree.map(
                lambda old, new: jnp.where(half == 0, new, old + new),
                partial[-1],
                value,
            )
            return (*lower, value, total)

        both: tuple[Tree, ...] = lax.fori_loop(0, turns.two, add_half, partial)
        return both

    return sum_of_block(levels, jnp.int32(0), (zeros,) * (levels + 1))[-1]


def exact_sum_scattered(rows: Array, axis_name: str, num_devices: int) -> Array:
    """Sum rows over devices by the fixed tree; each device keeps its share of rows.

    It is a reduce-scatter by recursive halving: in round `r` a device and the one
    whose index differs in bit `r` alone swap half of what they still hold. That moves
    no more than any other reduce-scatter.

    Args:
        rows: (..., R, K) with R a multiple of `num_devices`.
        axis_name: The devices are those along this axis of the mesh.
        num_devices: A power of two.

    Returns:
        The rows of this device, (..., R / num_devices, K): device d has the d-th share.
    """
    rounds = num_devices.bit_length() - 1
    device = lax.axis_index(axis_name)
    *before, num_rows, length = rows.shape
    # One axis of two for each bit of the share's index, the highest bit first.
    x = rows.reshape(*before, *(2,) * rounds, num_rows // num_devices, length)
    for bit in range(rounds):
        axis = len(before) + rounds - 1 - bit
        mine = (device >> bit) & 1
        kept = lax.dynamic_index_in_dim(x, mine, axis, keepdims=False)
        sent = lax.dynamic_index_in_dim(x, 1 - mine, axis, keepdims=False)
        x = kept + lax.ppermute(sent, axis_name, _swaps(num_devices, bit))
    return x


def exact_sum_everywhere(x: Array, axis_name: str, num_devices: int) -> Array:
    """Sum a small array over devices by the fixed tree; every device has the sum."""
    for bit in range(num_devices.bit_length() - 1):
        x = x + lax.ppermute(x, axis_name, _swaps(num_devices, bit))
    return x


def sum_by_halves(x_R: Array) -> Array:
    """Add up a vector, of a power of two of elements, by the fixed tree."""
    while x_R.shape[0] > 1:
        pairs = x_R.reshape(-1, 2)
        x_R = pairs[:, 0] + pairs[:, 1]
    return x_R[0]


def _swaps(num_devices: int, bit: int) -> list[tuple[int, int]]:
    return [(device, device ^ (1 << bit)) for device in range(num_devices)]
