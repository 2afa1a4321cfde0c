"""Student's t distribution, without a library that takes a second to load.

The distribution function is a regularised incomplete beta function, computed by its
continued fraction (Lentz's method; Press et al., Numerical Recipes, section 6.4), and
inverted by bisection.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_MOST_TERMS = 500


@lru_cache(maxsize=4096)
def student_quantile(probability: float, degrees: int) -> float:
    """Return the t below which a share of the distribution lies.

    Args:
        probability: At least 0.5 and below 1.
        degrees: Degrees of freedom, at least 1.

    >>> round(student_quantile(0.975, 4), 6)
    2.776445
    """
    assert 0.5 <= probability < 1
    assert degrees >= 1
    low, high = 0.0, 1.0
    while student_tail(high, degrees) > 1 - probability:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        if student_tail(middle, degrees) > 1 - probability:
            low = middle
        else:
            high = middle
    return high


def student_tail(t: float, degrees: int) -> float:
    """Return the share of the distribution above t, for t of at least 0.

    >>> round(student_tail(2.776445, 4), 6)
    0.025
    """
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    log_front = (
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
    )
    front = math.exp(log_front)
    # The fraction converges fast on one side only; the other is its mirror.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            total *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return total


def _nonzero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
