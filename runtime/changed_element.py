"""Which single element of an array was another one, told by two fingerprints alone.

A fingerprint is four sums of scrambled elements times weights that depend on the place
(see `runtime.fingerprint`). If one element differs, the difference of each sum, divided
by the weight of its place, is the same number: weights are odd, so they divide. Only
the true place passes this for all four sums, and the number is the scramble of what
stood there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from runtime.fingerprint import (
    SUMS,
    fingerprint_arrays,
    scrambled_bits,
    unscrambled_bits,
    weights_of,
)

_CHUNK = 1 << 20
"""Elements that are looked at together."""


class ChangedElement(NamedTuple):
    """An element that was another one."""

    place: int
    """In the flattened array."""
    bits: int
    """What was there."""


def changed_element(
    name: str, array: np.ndarray, fingerprint: str
) -> ChangedElement | None:
    """Find the one element in which an array differs from one with that fingerprint.

    Args:
        name: Under which arrays are fingerprinted.
        array: Of 32-bit elements.
        fingerprint: Of the other array, 32 hex digits.

    Returns:
        None if more than one element differs, or none.
    """
    ours = fingerprint_arrays({name: array})
    missing = (_sums(fingerprint) - _sums(ours)).astype(np.uint32)
    bits_N = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    if not missing.any():
        return None
    for start in range(0, bits_N.size, _CHUNK):
        chunk = bits_N[start : start + _CHUNK]
        positions = np.arange(start, start + chunk.size, dtype=np.int64)
        weights = weights_of(name, positions.astype(np.uint32))
        quotients = [
            missing[at] * _inverse(weight) for at, weight in enumerate(weights)
        ]
        agree = np.ones(chunk.size, bool)
        for other in quotients[1:]:
            agree &= quotients[0] == other
        for index in np.flatnonzero(agree).tolist():
            was = scrambled_bits(chunk[index : index + 1]) + quotients[0][index]
            return ChangedElement(start + index, int(unscrambled_bits(was)[0]))
    return None


def _sums(fingerprint: str) -> np.ndarray:
    digits = (fingerprint[8 * at : 8 * at + 8] for at in range(SUMS))
    return np.array([int(one, 16) for one in digits], np.uint32)


def _inverse(odd: Any) -> Any:
    """Invert odd numbers modulo 2**32 by Newton's method: 3 bits, 6, 12, 24, 48."""
    found = odd
    for _ in range(4):
        found = found * (np.uint32(2) - odd * found)
    return found
