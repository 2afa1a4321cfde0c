"""A keyed permutation of 0 to n - 1 that can be asked at any point.

A Feistel network over pairs (high, low) with n <= rows * columns, walked on while its
result lies outside of 0 to n - 1 (Black and Rogaway, "Ciphers with arbitrary finite
domains", 2002). It shuffles terabytes without a list of them: a lookup needs no
memory, and no lookup depends on another. It is not cryptography.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UInts = NDArray[np.uint64]
Ints = NDArray[np.int64]

NUM_ROUNDS = 8
"""Four already make a pseudorandom permutation of a large domain (Luby and Rackoff);
the others even out domains of a handful of elements."""

MAX_SIZE = 2**52
"""Below it a float64 square root is near enough to split any domain."""

# Increment and finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_TOP_53_BITS = np.uint64(11)


def permute(index: Ints, *, keys: UInts, sizes: Ints) -> Ints:
    """Map each index to its place under the permutation of its key and size.

    Args:
        index: Each at least 0 and below its size.
        keys: One key per index; indices with one key and one size share a permutation.
        sizes: Elements of each permutation, from 1 to `MAX_SIZE`.

    >>> order = permute(np.arange(5), keys=np.full(5, 17, np.uint64),
    ...                 sizes=np.full(5, 5))
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    limits = sizes.astype(np.uint64)
    # Nearly square, so that few results lie outside; any split would be correct.
    columns = np.ceil(np.sqrt(sizes.astype(np.float64))).astype(np.uint64)
    rows = (limits + columns - np.uint64(1)) // columns
    result = _network(index.astype(np.uint64), keys, rows, columns)
    (outside,) = np.nonzero(result >= limits)
    while outside.size:
        result[outside] = _network(
            result[outside], keys[outside], rows[outside], columns[outside]
        )
        outside = outside[result[outside] >= limits[outside]]
    return result.astype(np.int64)


def _network(index: UInts, keys: UInts, rows: UInts, columns: UInts) -> UInts:
    high, low = np.divmod(index, columns)
    for _ in range(NUM_ROUNDS // 2):
        keys = keys + _INCREMENT
        high = (high + _noise(low, keys)) % rows
        keys = keys + _INCREMENT
        low = (low + _noise(high, keys)) % columns
    return high * columns + low


def _noise(value: UInts, keys: UInts) -> UInts:
    """Return 53 bits, so that a sum with a value below 2**52 can't overflow."""
    return _mix(value + _mix(keys)) >> _TOP_53_BITS


def _mix(value: UInts) -> UInts:
    value = (value ^ (value >> _SHIFTS[0])) * _MULTIPLIERS[0]
    value = (value ^ (value >> _SHIFTS[1])) * _MULTIPLIERS[1]
    return value ^ (value >> _SHIFTS[2])
