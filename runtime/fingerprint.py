"""128-bit fingerprints of named arrays, independent of how they are sharded.

A fingerprint is four sums modulo 2**32 over all elements: a scramble of the element's
32 bits, times an odd weight that comes from the array's name and the element's
position. Integer addition is associative and commutative, so any number of devices may
sum their own elements in any order and add up the results. A weight is odd, so every
change of a single element changes all four sums. It guards against accidents, not
against somebody who looks for a collision.

Elements with all bits zero add nothing: padding with zeros changes no fingerprint.

The formulas are written once, for NumPy and for jax.numpy alike. Multiply-and-shift
scrambling is from Wellons, "Prospecting for hash functions" (2018).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

SUMS = 4
"""32-bit sums in a fingerprint."""

_CHUNK = 1 << 20
"""Elements at a time in NumPy, to bound its temporary arrays."""


def salts_of(name: str) -> tuple[int, int, int, int]:
    """Derive the four numbers that tell one array's weights from another's.

    >>> salts_of("embed") == salts_of("output")
    False
    """
    digest = hashlib.blake2b(name.encode(), digest_size=4 * SUMS).digest()
    first, second, third, fourth = np.frombuffer(digest, "<u4").tolist()
    return first, second, third, fourth


def partial_fingerprint(xp: ModuleType, name: str, bits_N: Any, start: Any) -> Any:
    """Sum up a run of consecutive elements of a named array.

    Args:
        xp: `numpy` or `jax.numpy`.
        name: Name of the whole array.
        bits_N: uint32, the bit patterns of the elements.
        start: uint32, position of the first of them in the flattened whole array.
            Positions are taken modulo 2**32.

    Returns:
        uint32 of shape (4,), to be added to those of the other elements.
    """
    positions_N = xp.arange(bits_N.shape[0], dtype=xp.uint32) + start
    return fingerprint_at(xp, name, bits_N, positions_N)


def fingerprint_at(xp: ModuleType, name: str, bits: Any, positions: Any) -> Any:
    """Sum up any elements of a named array, given their positions.

    Args:
        xp: `numpy` or `jax.numpy`.
        name: Name of the whole array.
        bits: uint32 of any shape, the bit patterns of the elements.
        positions: uint32 of that shape, as in `partial_fingerprint`.
    """
    bits = scrambled_bits(bits)
    weights = weights_of(name, positions)
    return xp.stack([xp.sum(bits * weight, dtype=xp.uint32) for weight in weights])


def weights_of(name: str, positions: Any) -> list[Any]:
    """Return the odd weights of some positions, for each of the four sums."""
    u32 = np.uint32
    place = _scramble(positions)
    weights = []
    for salt in salts_of(name):
        weight = (place ^ u32(salt)) * u32(0x846CA68B)
        weights.append((weight ^ (weight >> u32(16))) | u32(1))
    return weights


def scrambled_bits(bits: Any) -> Any:
    """Map bit patterns to what is summed, one to one."""
    u32 = np.uint32
    bits = (bits ^ (bits >> u32(16))) * u32(0x7FEB352D)
    return bits ^ (bits >> u32(15))


def unscrambled_bits(scrambled: Any) -> Any:
    """Return the bit patterns that were scrambled; see `scrambled_bits`.

    >>> int(unscrambled_bits(scrambled_bits(np.array([17], np.uint32)))[0])
    17
    """
    u32 = np.uint32
    bits = scrambled ^ (scrambled >> u32(15)) ^ (scrambled >> u32(30))
    bits = bits * u32(pow(0x7FEB352D, -1, 2**32))
    return bits ^ (bits >> u32(16))


def fingerprint_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Fingerprint arrays of 32-bit elements with NumPy, as 32 hex digits.

    >>> fingerprint_arrays({"batch": np.arange(6, dtype=np.int32).reshape(2, 3)})
    'b257a61bf32212531d2704f1d34a82fb'
    """
    total = np.zeros(SUMS, np.uint32)
    for name, array in arrays.items():
        bits = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
        for start in range(0, bits.size, _CHUNK):
            total += partial_fingerprint(
                np, name, bits[start : start + _CHUNK], np.uint32(start % 2**32)
            )
    return fingerprint_hex(total)


def fingerprint_hex(sums: np.ndarray) -> str:
    """Write the four sums as 32 hex digits."""
    return words_hex(sums)


def words_hex(words: np.ndarray) -> str:
    """Write 32-bit words as 8 hex digits each.

    >>> words_hex(np.array([1, 2**32 - 1], np.uint32))
    '00000001ffffffff'
    """
    return "".join(f"{int(value):08x}" for value in np.asarray(words))


def _scramble(x: Any) -> Any:
    """Map uint32 to uint32 one to one, without visible pattern."""
    u32 = np.uint32
    x = (x ^ (x >> u32(16))) * u32(0x7FEB352D)
    x = (x ^ (x >> u32(15))) * u32(0x846CA68B)
    return x ^ (x >> u32(16))
