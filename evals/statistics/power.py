"""What a difference must be to be seen, known before anything is computed.

A difference of true size D is told from none, at level alpha and with the power asked
for, if D is at least (z(1 - alpha / 2) + z(power)) standard errors of the difference.
Two models that answer the same questions agree in most of them: with a correlation r
per question the variance of their difference is 2 (1 - r) times that of one score.
"""

from __future__ import annotations

import math
from statistics import NormalDist

ALPHA = 0.05
"""Chance to see a difference where there is none, two-sided."""

POWER = 0.8
"""Chance to see a difference that is there."""

CORRELATION = 0.7
"""Assumed of the answers of two models to one question, where nothing was measured."""

MOST_SPREAD_RATE = 0.5
"""The rate whose error is the largest."""

_NORMAL = NormalDist()


def expected_error(count: float, rate: float = MOST_SPREAD_RATE) -> float:
    """Return the standard error of a rate over right-or-wrong questions.

    >>> round(100 * expected_error(56), 2)
    6.68
    """
    return math.sqrt(rate * (1 - rate) / count)


def questions_alone(count: int, num_clusters: int, correlation: float) -> float:
    """Return how many questions that stand alone tell as much as clustered ones.

    Kish's design effect, 1 + (questions per cluster - 1) * correlation.

    Args:
        count: Questions.
        num_clusters: Clusters of about equal size that they are in.
        correlation: Between questions of a cluster.

    >>> questions_alone(1000, 100, 1.0)
    100.0
    """
    return count / (1 + (count / num_clusters - 1) * correlation)


def error_of_difference(error: float, correlation: float = 0.0) -> float:
    """Return the standard error of the difference of two scores of one error.

    Args:
        error: The standard error of either score.
        correlation: Between their answers to one question; 0: not paired.
    """
    return error * math.sqrt(2 * (1 - correlation))


def detectable_effect(
    error: float, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return the least true difference that is seen with the power asked for.

    Args:
        error: The standard error of the difference.
        alpha: Chance to see a difference where there is none.
        power: Chance to see one of the size returned.

    >>> round(100 * detectable_effect(error_of_difference(expected_error(56))), 1)
    26.5
    """
    return (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) * error


def power_of(effect: float, error: float, alpha: float = ALPHA) -> float:
    """Return the chance to see a true difference, in either direction.

    >>> round(power_of(detectable_effect(0.01), 0.01), 3)
    0.8
    """
    reach = _NORMAL.inv_cdf(1 - alpha / 2)
    shift = abs(effect) / error
    return _NORMAL.cdf(shift - reach) + _NORMAL.cdf(-shift - reach)
