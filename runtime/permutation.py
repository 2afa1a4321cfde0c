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

_STEPS = np.cumsum(np.full(NUM_ROUNDS, _INCREMENT))
"""Added to a key, one for each round."""


def permute(
    index: Ints, *, keys: UInts, sizes: Ints, which: Ints | None = None
) -> Ints:
    """Map each index to its place under one of some permutations.

    Args:
        index: Each at least 0 and below the size of its permutation.
        keys: One key per permutation.
        sizes: Elements of each permutation, from 1 to `MAX_SIZE`.
        which: The permutation of each index; default: each index has its own.

    >>> order = permute(np.arange(5), keys=np.array([17], np.uint64),
    ...                 sizes=np.array([5]), which=np.zeros(5, int))
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    if which is None:
        which = np.arange(len(index))
    limits = sizes.astype(np.uint64)
    # Nearly square, so that few results lie outside; any split would be correct.
    columns = np.ceil(np.sqrt(sizes.astype(np.float64))).astype(np.uint64)
    rows = (limits + columns - np.uint64(1)) // columns
    round_keys = [_mix(keys + step) for step in _STEPS]
    result = _network(index.astype(np.uint64), round_keys, rows, columns, which)
    limits = limits[which]
    (outside,) = np.nonzero(result >= limits)
    while outside.size:
        result[outside] = _network(
            result[outside], round_keys, rows, columns, which[outside]
        )
        outside = outside[result[outside] >= limits[outside]]
    return result.astype(np.int64)


def _network(
    index: UInts, round_keys: list[UInts], rows: UInts, columns: UInts, which: Ints
) -> UInts:
    rows, columns = rows[which], columns[which]
    high, low = np.divmod(index, columns)
    for even, odd in zip(round_keys[::2], round_keys[1::2], strict=True):
        high += _noise(low, even[which])
        high %= rows
        low += _noise(high, odd[which])
        low %= columns
    high *= columns
    high += low
    return high


def _noise(value: UInts, mixed_keys: UInts) -> UInts:
    """Return 53 bits, so that a sum with a value below 2**52 can't overflow.

    The keys are used up: this is where the time goes, so nothing is copied.
    """
    mixed_keys += value
    noise = _mix(mixed_keys)
    noise >>= _TOP_53_BITS
    return noise


def _mix(value: UInts) -> UInts:
    value ^= value >> _SHIFTS[0]
    value *= _MULTIPLIERS[0]
    value ^= value >> _SHIFTS[1]
    value *= _MULTIPLIERS[1]
    value ^= value >> _SHIFTS[2]
    return value
