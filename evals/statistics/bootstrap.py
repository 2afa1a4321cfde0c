"""Intervals from resampled questions: no formula, and the same numbers everywhere.

Whole clusters are drawn with replacement. The draws are bits of Philox, keyed by name,
and sums are of integers, so that no library's stream of "integers" and no order of
adding up decides a digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# R resamples, C clusters

RESAMPLES = 10_039
"""At least 10,000, and one less than a multiple of 40: the bounds of 95% are resamples
themselves, nothing is interpolated."""

_FRACTION_BITS = 32
"""A value is rounded to a multiple of 2^-32 before it is added up."""

_DRAWS_AT_ONCE = 1 << 18
"""So few that they stay in a processor's cache."""

_HALF, _HALF_BITS = np.uint64(0xFFFFFFFF), np.uint64(32)


def resampled_means(
    values: Sequence[float], codes: Sequence[int], key: int
) -> NDArray[np.float64]:
    """Return the mean of each of R resamples.

    Args:
        values: One per question, below 2^16 in size.
        codes: The cluster of each question, numbered from 0.
        key: Names the draws, see `runtime.keys`.
    """
    groups = max(codes) + 1
    sums, counts = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    rounded = np.rint(np.ldexp(np.asarray(values, np.float64), _FRACTION_BITS))
    np.add.at(sums, np.asarray(codes), rounded.astype(np.int64))
    np.add.at(counts, np.asarray(codes), 1)
    parts = []
    for drawn in resampled_clusters(groups, key):
        num_drawn = counts.take(drawn).sum(axis=1) if groups < len(codes) else groups
        parts.append(sums.take(drawn).sum(axis=1) / num_drawn)
    means: NDArray[np.float64] = np.ldexp(np.concatenate(parts), -_FRACTION_BITS)
    return means


def resampled_clusters(groups: int, key: int) -> Iterator[NDArray[np.int64]]:
    """Yield R x C clusters, some resamples at a time.

    Args:
        groups: How many clusters there are, C.
        key: Names the draws, see `runtime.keys`.
    """
    bits = np.random.Philox(key=key)
    # An even number of draws per resample: each word of 64 bits holds two of them.
    words = -(-groups // 2)
    rows = max(1, _DRAWS_AT_ONCE // (2 * words))
    for start in range(0, RESAMPLES, rows):
        yield _drawn(bits, min(rows, RESAMPLES - start), words, groups)


def percentile_interval(means: NDArray[np.float64]) -> tuple[float, float]:
    """Return the bounds between which 95% of R resampled means lie."""
    ordered = np.sort(means)
    out = (RESAMPLES + 1) // 40
    return float(ordered[out - 1]), float(ordered[RESAMPLES - out])


def _drawn(
    bits: np.random.Philox, rows: int, words: int, groups: int
) -> NDArray[np.int64]:
    """Draw R x C clusters: the high half of a 32-bit number times their count."""
    raw = np.asarray(bits.random_raw(rows * words), np.uint64).reshape(rows, words)
    both = np.concatenate([raw & _HALF, raw >> _HALF_BITS], axis=1)[:, :groups]
    both *= np.uint64(groups)
    both >>= _HALF_BITS
    return both.view(np.int64)
