"""The mean of a metric over questions, with its error.

Questions are a sample of those that could have been asked. Where some hang together, as
several about one passage do, clusters are the sample: the sums of their residuals are
squared, not the residuals (Miller, arXiv 2411.00640; Cameron and Miller, 2015). With
every question a cluster of its own this is the plain standard error, n - 1 and all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

from ledger.student import student_quantile
from specs.base import Value

CONFIDENCE = 0.95

Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Standard errors on either side of a mean that is normally distributed."""


class Estimate(Value):
    """A mean with its error."""

    mean: float
    standard_error: float | None
    """Null: one question, or one cluster, tells nothing of others."""
    low: float | None
    """Where the mean over all questions that could be asked lies, with 95%
    confidence."""
    high: float | None
    method: Literal["wilson", "rule-of-three", "student", "none"]
    """How the interval was made."""
    count: int
    """Questions."""
    num_clusters: int | None
    """Clusters that they are in; null where each stands alone."""


def estimate(values: Sequence[float], clusters: Sequence[str | None]) -> Estimate:
    """Estimate the mean that all questions that could be asked would have.

    The interval of right-or-wrong values is Wilson's; where they hang together, with
    as many questions as would give that error if they stood alone, at most all. Where
    all are 0 or all are 1 it is one-sided: fewer than 1 - 0.05^(1/n) of all questions
    are otherwise, about 3/n. Other values have Student's interval.

    Args:
        values: One per question, at least one.
        clusters: The cluster of each question; null: it stands alone.

    >>> found = estimate([1.0, 1.0, 0.0, 0.0, 0.0], [None] * 5)
    >>> round(found.standard_error, 4), round(found.low, 4), round(found.high, 4)
    (0.2449, 0.1176, 0.7693)
    """
    count = len(values)
    mean = math.fsum(values) / count
    codes = cluster_codes(clusters)
    groups = max(codes) + 1
    error = error_of_mean(values, codes)
    low, high, method = _interval(values, mean, error, groups)
    return Estimate(
        mean=mean,
        standard_error=error,
        low=low,
        high=high,
        method=method,
        count=count,
        num_clusters=groups if groups < count else None,
    )


def cluster_codes(clusters: Sequence[str | None]) -> list[int]:
    """Number clusters from 0; a question without one is its own.

    >>> cluster_codes(["a", None, "a", None, "b"])
    [0, 1, 0, 2, 3]
    """
    codes: dict[str | int, int] = {}
    return [
        codes.setdefault(at if name is None else name, len(codes))
        for at, name in enumerate(clusters)
    ]


def error_of_mean(values: Sequence[float], codes: Sequence[int]) -> float | None:
    """Return the clustered standard error of the mean; null with a single cluster.

    It is sqrt(C / (C - 1) * sum over clusters of (sum of residuals)^2) / n.
    """
    groups = max(codes) + 1
    if groups < 2:
        return None
    mean = math.fsum(values) / len(values)
    residuals: list[list[float]] = [[] for _ in range(groups)]
    for code, value in zip(codes, values, strict=True):
        residuals[code].append(value - mean)
    squares = math.fsum(math.fsum(one) ** 2 for one in residuals)
    return math.sqrt(groups / (groups - 1) * squares) / len(values)


def is_right_or_wrong(values: Sequence[float]) -> bool:
    """Whether all values are 0 or 1."""
    return all(value in (0.0, 1.0) for value in values)


def most_otherwise(groups: int) -> float:
    """Return the share that may be otherwise although none of a sample is, with 95%.

    >>> round(most_otherwise(164), 4)
    0.0181
    """
    return 1 - math.pow(1 - CONFIDENCE, 1 / groups)


def wilson(mean: float, count: float, reach: float = Z) -> tuple[float, float]:
    """Return Wilson's interval of a rate (1927).

    Args:
        mean: The rate, 0 to 1.
        count: Answers that it was made of; need not be whole.
        reach: Standard errors on either side.
    """
    square = reach * reach
    middle = (mean + square / (2 * count)) / (1 + square / count)
    spread = mean * (1 - mean) / count + square / (4 * count * count)
    half = reach / (1 + square / count) * math.sqrt(spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _interval(
    values: Sequence[float], mean: float, error: float | None, groups: int
) -> tuple[
    float | None, float | None, Literal["wilson", "rule-of-three", "student", "none"]
]:
    if all(value == 0 for value in values):
        return 0.0, most_otherwise(groups), "rule-of-three"
    if all(value == 1 for value in values):
        return 1 - most_otherwise(groups), 1.0, "rule-of-three"
    if error is None:
        return None, None, "none"
    is_clustered = groups < len(values)
    reach = student_quantile((1 + CONFIDENCE) / 2, groups - 1)
    if not is_right_or_wrong(values):
        return mean - reach * error, mean + reach * error, "student"
    if not is_clustered:
        return *wilson(mean, len(values)), "wilson"
    # Clusters that happen to cancel out are no proof of more than n questions.
    alone = mean * (1 - mean) / error**2 if error else math.inf
    return *wilson(mean, min(alone, len(values)), reach), "wilson"
