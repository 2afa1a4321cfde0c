"""Training seeds as repeats: how much is the seed, and how much the questions.

Every seed answers every question, so the values are a table of seeds by questions. Its
mean varies with the seeds and with the questions that happened to be there; what is
left, a seed that fares better on some questions, is counted in both and taken out once:

    error^2 = over seeds^2 + over questions^2 - left over^2

With a single seed the first is unknown, and nothing here can be said of the recipe:
only of that one run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evals.statistics.macro import satterthwaite
from evals.statistics.means import cluster_codes, error_of_mean
from evals.statistics.paired import Difference, student
from specs.base import Value

# One row per seed, one column per question.
Table = Sequence[Sequence[float]]


class SeedErrors(Value):
    """What the error of a mean over seeds and questions is made of."""

    num_seeds: int
    over_seeds: float | None
    """The standard error over seeds, for these questions; null with one seed."""
    over_questions: float | None
    """The standard error over questions, for these seeds."""
    left_over: float | None
    """What is in both; null with one seed."""

    @property
    def both(self) -> float | None:
        """The standard error over seeds and questions; null with one seed."""
        if self.over_seeds is None or self.over_questions is None:
            return None
        return _combined(self.over_seeds, self.over_questions, self.left_over or 0)


def seed_errors(table: Table, clusters: Sequence[str | None]) -> SeedErrors:
    """Take the variance of a mean apart, between seeds and questions.

    Args:
        table: A row of values per seed, over the same questions.
        clusters: The cluster of each question; null: it stands alone.
    """
    codes = cluster_codes(clusters)
    over_seeds, left_over = None, None
    if len(table) > 1:
        over_seeds = error_of_mean(
            [math.fsum(row) / len(row) for row in table], range(len(table))
        )
        left_over = _left_over(table, codes)
    return SeedErrors(
        num_seeds=len(table),
        over_seeds=over_seeds,
        over_questions=error_of_mean(mean_over_seeds(table), codes),
        left_over=left_over,
    )


def mean_over_seeds(table: Table) -> list[float]:
    """Return the mean of each question over seeds."""
    return [math.fsum(column) / len(table) for column in zip(*table, strict=True)]


def difference_over_seeds(
    was: Table, now: Table, clusters: Sequence[str | None]
) -> Difference | None:
    """Compare two recipes that were trained with several seeds each.

    Questions are paired. Seeds are not: seed 1 of one recipe has nothing in common with
    seed 1 of another.

    Args:
        was: A row of values per seed of the first recipe.
        now: A row per seed of the second, over the same questions.
        clusters: The cluster of each question; null: it stands alone.

    Returns:
        The difference with its error over seeds and questions; null where either side
        has a single seed.
    """
    sides = [seed_errors(table, clusters) for table in (was, now)]
    codes = cluster_codes(clusters)
    before, after = mean_over_seeds(was), mean_over_seeds(now)
    apart = [new - old for old, new in zip(before, after, strict=True)]
    over_questions = error_of_mean(apart, codes)
    if over_questions is None or any(one.over_seeds is None for one in sides):
        return None
    over_seeds = math.hypot(*(one.over_seeds or 0 for one in sides))
    left_over = math.hypot(*(one.left_over or 0 for one in sides))
    error = _combined(over_seeds, over_questions, left_over)
    mean = math.fsum(apart) / len(apart)
    if error == 0:
        return None
    parts = [((one.over_seeds or 0) ** 2, one.num_seeds - 1) for one in sides]
    degrees = satterthwaite([*parts, (over_questions**2, max(codes))])
    low, high, p_value = student(mean, error, degrees)
    return Difference(
        mean=mean,
        standard_error=error,
        degrees=degrees,
        low=low,
        high=high,
        p_value=p_value,
        test="student",
    )


def _combined(over_seeds: float, over_questions: float, left_over: float) -> float:
    """Add two errors in squares; what is in both of them is counted once."""
    square = over_seeds**2 + over_questions**2 - left_over**2
    # Estimates vary, so the rest can come out larger than what it is a part of.
    return max(over_seeds, over_questions, math.sqrt(max(0.0, square)))


def _left_over(table: Table, codes: Sequence[int]) -> float:
    """Standard error that neither the seeds nor the questions account for."""
    columns = mean_over_seeds(table)
    num_seeds, groups, count = len(table), max(codes) + 1, len(codes)
    middle = math.fsum(columns) / count
    squares = []
    for row in table:
        mean = math.fsum(row) / count
        sums: list[list[float]] = [[] for _ in range(groups)]
        for value, column, code in zip(row, columns, codes, strict=True):
            sums[code].append(value - mean - column + middle)
        squares += [math.fsum(one) ** 2 for one in sums]
    scale = num_seeds * (num_seeds - 1) * count**2 * max(groups - 1, 1) / groups
    return math.sqrt(math.fsum(squares) / scale)
