"""The average of several tasks, all of one weight, and what its error is made of.

Tasks are given, not drawn: their errors add up in squares. The interval is by the
method of variance estimates recovery (Zou and Donner, 2008): the distances from each
task's mean to the ends of its own interval add up in squares, so that a task at 0 or 1
counts with what is not known of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evals.statistics.means import Estimate
from evals.statistics.paired import Difference, student
from specs.base import Value


class MacroAverage(Value):
    """The unweighted mean of the main metrics of some tasks."""

    mean: float
    standard_error: float | None
    """Null where that of a task is unknown."""
    low: float | None
    high: float | None
    variance_shares: dict[str, float]
    """Task -> its share of the variance; empty where there is none, or it is
    unknown."""


def macro_average(tasks: Mapping[str, Estimate]) -> MacroAverage:
    """Average tasks; the standard error is sqrt(sum of squared errors) / k."""
    means = [one.mean for one in tasks.values()]
    errors = [one.standard_error for one in tasks.values()]
    low, high = _recovered(list(tasks.values()))
    return MacroAverage(
        mean=math.fsum(means) / len(means),
        standard_error=error_of_average(errors),
        low=low,
        high=high,
        variance_shares=variance_shares(dict(zip(tasks, errors, strict=True))),
    )


def chance_corrected(one: Estimate, chance: float) -> Estimate:
    """Put a score on the scale where guessing is 0 and all right is 1.

    >>> from evals.statistics.means import estimate
    >>> chance_corrected(estimate([1.0, 1.0, 1.0, 0.0], [None] * 4), 0.5).mean
    0.5
    """
    scale = 1 - chance
    scaled = {
        name: None if value is None else (value - chance) / scale
        for name, value in (("mean", one.mean), ("low", one.low), ("high", one.high))
    }
    error = one.standard_error
    scaled["standard_error"] = None if error is None else error / scale
    return one.model_copy(update=scaled)


def difference_of_averages(tasks: Mapping[str, Difference]) -> Difference:
    """Average the paired differences of tasks.

    The p-value is Student's, with the degrees of freedom of Welch and Satterthwaite.
    """
    differences = list(tasks.values())
    mean = math.fsum(one.mean for one in differences) / len(differences)
    error = error_of_average([one.standard_error for one in differences])
    low, high = _recovered(differences)
    p_value, degrees = None, None
    if error:
        parts = [(one.standard_error or 0, one.degrees or 1) for one in differences]
        degrees = satterthwaite([(error * error, n) for error, n in parts])
        p_value = student(mean, error, degrees)[2]
    elif error == 0 and mean == 0:
        p_value = 1.0
    return Difference(
        mean=mean,
        standard_error=error,
        degrees=degrees,
        low=low,
        high=high,
        p_value=p_value,
        test="none" if p_value is None else "student",
    )


def error_of_average(errors: Sequence[float | None]) -> float | None:
    """Return the standard error of an average of tasks.

    >>> error_of_average([0.3, 0.4])
    0.25
    """
    known = [one for one in errors if one is not None]
    if len(known) < len(errors):
        return None
    return math.sqrt(math.fsum(one * one for one in known)) / len(known)


def variance_shares(errors: Mapping[str, float | None]) -> dict[str, float]:
    """Return what share of the variance of an average each task brings.

    >>> variance_shares({"boolq": 1.0, "cb": 3.0})["cb"]
    0.9
    """
    squares = {name: one * one for name, one in errors.items() if one is not None}
    total = math.fsum(squares.values())
    if len(squares) < len(errors) or total == 0:
        return {}
    return {name: square / total for name, square in squares.items()}


def satterthwaite(
    parts: Sequence[tuple[float, int]], total: float | None = None
) -> int:
    """Return the degrees of freedom of a sum of independent variances, rounded down.

    Args:
        parts: Each variance with its degrees of freedom; not all variances 0.
        total: What they come to; None: their sum. Less where something known far
            better than they are is taken out of them.
    """
    if total is None:
        total = math.fsum(variance for variance, _ in parts)
    spread = math.fsum(
        variance * variance / degrees for variance, degrees in parts if variance
    )
    # Equal variances come to a whole number, whatever rounding makes of it.
    return max(1, math.floor(total * total / spread * (1 + 1e-12)))


def _recovered(
    parts: Sequence[Estimate] | Sequence[Difference],
) -> tuple[float | None, float | None]:
    below, above = [], []
    for one in parts:
        if one.low is None or one.high is None:
            return None, None
        below.append((one.mean - one.low) ** 2)
        above.append((one.high - one.mean) ** 2)
    mean = math.fsum(one.mean for one in parts) / len(parts)
    reach = [math.sqrt(math.fsum(side)) / len(parts) for side in (below, above)]
    return mean - reach[0], mean + reach[1]
