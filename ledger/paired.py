"""Paired differences with their uncertainty, over steps and over questions.

Losses of neighbouring steps share weights and data, so the plain standard error of
their differences is too small. The method of batch means takes that into account: the
steps are cut into batches of neighbours, whose means are taken for independent. The
interval is Student's t over those means. Questions are independent to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ledger.student import student_quantile
from specs.base import Value

BATCHES = 20
"""Batches of steps, at most; fewer where there are fewer than `MIN_PER_BATCH` each."""

MIN_PER_BATCH = 4
MIN_BATCHES = 5
"""With fewer there is no interval."""

CONFIDENCE = 0.95


class Interval(Value):
    """A mean difference, second minus first, and where it lies with 95% confidence."""

    mean: float
    low: float | None
    """Null where there is too little to say."""
    high: float | None
    count: int
    """Steps or questions that were paired."""


def steps_interval(differences: Sequence[float]) -> Interval:
    """Return the mean difference over steps, by batch means.

    Args:
        differences: Second minus first, in the order of the steps; at least one.

    >>> steps_interval([0.5, 0.5])
    Interval(mean=0.5, low=None, high=None, count=2)
    """
    count = len(differences)
    num_batches = min(BATCHES, count // MIN_PER_BATCH)
    mean = math.fsum(differences) / count
    if num_batches < MIN_BATCHES:
        return Interval(mean=mean, low=None, high=None, count=count)
    # The first steps that do not fill a batch are left out of the spread alone.
    size = count // num_batches
    start = count - size * num_batches
    means = [
        math.fsum(differences[at : at + size]) / size
        for at in range(start, count, size)
    ]
    return _student(means, mean, count)


def questions_interval(differences: Sequence[float]) -> Interval:
    """Return the mean difference over questions, each independent of the others."""
    count = len(differences)
    mean = math.fsum(differences) / count
    if count < 2:
        return Interval(mean=mean, low=None, high=None, count=count)
    return _student(differences, mean, count)


def _student(values: Sequence[float], mean: float, count: int) -> Interval:
    own_mean = math.fsum(values) / len(values)
    squares = math.fsum((value - own_mean) ** 2 for value in values)
    error = math.sqrt(squares / (len(values) - 1) / len(values))
    reach = student_quantile((1 + CONFIDENCE) / 2, len(values) - 1) * error
    return Interval(mean=mean, low=mean - reach, high=mean + reach, count=count)
