"""The share of questions that k samples would solve, from more samples than k."""

from __future__ import annotations

import math


def pass_at_k(num_samples: int, num_passed: int, k: int) -> float:
    """Chance that at least one of k samples passes, without bias.

    1 - C(n - c, k) / C(n, k), of Chen et al. 2021, whole numbers up to one division.

    Args:
        num_samples: n, at least k.
        num_passed: c of the n.
        k: At least 1.

    >>> pass_at_k(10, 3, 1), pass_at_k(2, 1, 2), pass_at_k(5, 0, 3)
    (0.3, 1.0, 0.0)
    """
    if not 1 <= k <= num_samples or not 0 <= num_passed <= num_samples:
        raise ValueError(f"pass@{k} of {num_passed} passed among {num_samples}")
    ways = math.comb(num_samples, k)
    return (ways - math.comb(num_samples - num_passed, k)) / ways
