"""Training seeds as repeats: how much is the seed, and how much the questions.

Every seed answers every question, so the values are a table of seeds by questions. Its
mean varies with the seeds and with the questions that happened to be there; what is
left, a seed that fares better on some questions, is in both and is taken out once:

    error^2 = over seeds^2 + over questions^2 - left over^2

With a single seed the first is unknown, and nothing here can be said of the recipe:
only of that one run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evals.statistics.macro import error_of_average, satterthwaite
from evals.statistics.means import cluster_codes, error_of_mean
from evals.statistics.paired import Difference, student
from specs.base import Value


class SeedTable(NamedTuple):
    """What several seeds of one recipe came to in one task."""

    rows: Sequence[Sequence[float]]
    """Per seed, the value of each question; all of the same questions."""
    clusters: Sequence[str | None]
    """Of each question; null: it stands alone."""


class SeedErrors(Value):
    """The mean of a recipe, and what its error is made of."""

    num_seeds: int
    mean: float
    over_seeds: float | None
    """The standard error over seeds, for these questions; null with one seed."""
    over_questions: float | None
    """The standard error over questions, for these seeds."""
    left_over: float | None
    """What is in both; null with one seed."""
    standard_error: float | None
    """Over seeds and questions; null with one seed."""


class RecipeDifference(Difference):
    """The difference of two recipes; its error is over seeds and questions."""

    over_seeds: float
    """The standard error over seeds, for these questions."""
    over_questions: float
    """The standard error over questions, for these seeds."""


def seed_errors(tasks: Sequence[SeedTable]) -> SeedErrors:
    """Take the variance of a mean apart, between seeds and questions.

    A seed that is good at one task is good at others, so of several tasks the averages
    of each seed are compared.

    Args:
        tasks: Averaged with equal weights; all have the same seeds, in order.
    """
    by_seed = [
        math.fsum(math.fsum(row) / len(row) for row in rows) / len(tasks)
        for rows in zip(*(task.rows for task in tasks), strict=True)
    ]
    over_questions = error_of_average(
        [
            error_of_mean(_over_seeds(task), cluster_codes(task.clusters))
            for task in tasks
        ]
    )
    over_seeds = error_of_mean(by_seed, range(len(by_seed)))
    left_over, both = None, None
    if over_seeds is not None:
        left_over = math.hypot(*map(left_over_error, tasks)) / len(tasks)
        if over_questions is not None:
            both = combined_error(over_seeds, over_questions, left_over)
    return SeedErrors(
        num_seeds=len(by_seed),
        mean=math.fsum(by_seed) / len(by_seed),
        over_seeds=over_seeds,
        over_questions=over_questions,
        left_over=left_over,
        standard_error=both,
    )


def difference_over_seeds(
    was: Sequence[SeedTable], now: Sequence[SeedTable]
) -> RecipeDifference | None:
    """Compare two recipes that were trained with several seeds each.

    Questions are paired. Seeds are not: seed 1 of one recipe has nothing in common with
    seed 1 of another.

    Args:
        was: Tasks of the first recipe, averaged with equal weights.
        now: The same tasks of the second, with the same questions.

    Returns:
        The difference; null where either side has a single seed, a task has a single
        cluster, or nothing varies.
    """
    before, after = seed_errors(was), seed_errors(now)
    over_questions = error_of_average(
        [
            error_of_mean(
                [
                    new - old
                    for old, new in zip(_over_seeds(one), _over_seeds(two), strict=True)
                ],
                cluster_codes(one.clusters),
            )
            for one, two in zip(was, now, strict=True)
        ]
    )
    if before.over_seeds is None or after.over_seeds is None or over_questions is None:
        return None
    over_seeds = math.hypot(before.over_seeds, after.over_seeds)
    left_over = math.hypot(before.left_over or 0, after.left_over or 0)
    error = combined_error(over_seeds, over_questions, left_over)
    if error == 0:
        return None
    degrees = satterthwaite(
        [
            (before.over_seeds**2, before.num_seeds - 1),
            (after.over_seeds**2, after.num_seeds - 1),
            (over_questions**2, sum(max(cluster_codes(one.clusters)) for one in was)),
        ],
        error**2,
    )
    mean = after.mean - before.mean
    low, high, p_value = student(mean, error, degrees)
    return RecipeDifference(
        mean=mean,
        standard_error=error,
        degrees=degrees,
        low=low,
        high=high,
        p_value=p_value,
        test="student",
        over_seeds=over_seeds,
        over_questions=over_questions,
    )


def _over_seeds(task: SeedTable) -> list[float]:
    """Return the mean of each question over seeds."""
    return [
        math.fsum(column) / len(task.rows) for column in zip(*task.rows, strict=True)
    ]


def combined_error(over_seeds: float, over_questions: float, left_over: float) -> float:
    """Add two errors in squares; what is in both of them is counted once.

    >>> round(combined_error(3.0, 4.0, 3.0), 12), combined_error(3.0, 4.0, 9.0)
    (4.0, 4.0)
    """
    square = over_seeds**2 + over_questions**2 - left_over**2
    # Estimates vary, so the rest can come out larger than what it is a part of.
    return max(over_seeds, over_questions, math.sqrt(max(0.0, square)))


def left_over_error(task: SeedTable) -> float:
    """Standard error that neither the seeds nor the questions account for."""
    columns, codes = _over_seeds(task), cluster_codes(task.clusters)
    num_seeds, groups, count = len(task.rows), max(codes) + 1, len(codes)
    middle = math.fsum(columns) / count
    squares = []
    for row in task.rows:
        mean = math.fsum(row) / count
        sums: list[list[float]] = [[] for _ in range(groups)]
        for value, column, code in zip(row, columns, codes, strict=True):
            sums[code].append(value - mean - column + middle)
        squares += [math.fsum(one) ** 2 for one in sums]
    scale = num_seeds * (num_seeds - 1) * count**2 * max(groups - 1, 1) / groups
    return math.sqrt(math.fsum(squares) / scale)
