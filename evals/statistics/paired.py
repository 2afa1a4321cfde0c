"""The difference of two scores of the same questions, question by question.

Most of what makes a question right or wrong is the question: what two models have in
common cancels out, so that a difference is seen which is far below either's error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from evals.statistics.means import (
    CONFIDENCE,
    Z,
    cluster_codes,
    error_of_mean,
    is_right_or_wrong,
    most_otherwise,
)
from evals.statistics.power import detectable_effect
from ledger.student import student_quantile, student_tail
from specs.base import Value


class Difference(Value):
    """A difference of means, second minus first, with its error."""

    mean: float
    standard_error: float | None
    degrees: int | None
    """Degrees of freedom of the standard error."""
    low: float | None
    """Where the difference over all questions lies, with 95% confidence."""
    high: float | None
    p_value: float | None
    """Chance of a difference this large where there is none; null: unknown."""
    test: Literal["mcnemar", "student", "same-sign", "none"]
    """How the p-value was made."""

    @property
    def detectable(self) -> float | None:
        """The least true difference that this comparison would show in 4 of 5 tries."""
        if not self.standard_error:
            return None
        return detectable_effect(self.standard_error)


class PairedDifference(Difference):
    """A difference over questions that both have answered."""

    count: int
    """Questions."""
    num_clusters: int | None
    """Clusters that they are in; null where each stands alone."""
    num_higher: int
    """Questions whose value is higher in the second."""
    num_lower: int
    correlation: float | None
    """Of both values over questions; null where either never changes."""


def paired_difference(
    was: Sequence[float], now: Sequence[float], clusters: Sequence[str | None]
) -> PairedDifference:
    """Compare two scores of the same questions.

    Of right-or-wrong values that stand alone the p-value is McNemar's exact one and the
    interval that of Bonett and Price (2012). Of others both are Student's, on the
    clustered standard error.

    Args:
        was: Values of the first, one per question.
        now: Values of the second, for the same questions.
        clusters: The cluster of each question; null: it stands alone.

    >>> found = paired_difference([0.0] * 10, [1.0] * 6 + [0.0] * 4, [None] * 10)
    >>> found.mean, found.p_value, found.test
    (0.6, 0.03125, 'mcnemar')
    """
    differences = [after - before for before, after in zip(was, now, strict=True)]
    codes = cluster_codes(clusters)
    groups, count = max(codes) + 1, len(differences)
    error = error_of_mean(differences, codes)
    higher = sum(one > 0 for one in differences)
    lower = sum(one < 0 for one in differences)
    found = PairedDifference(
        mean=math.fsum(differences) / count,
        standard_error=error,
        degrees=groups - 1 or None,
        low=None,
        high=None,
        p_value=None,
        test="none",
        count=count,
        num_clusters=groups if groups < count else None,
        num_higher=higher,
        num_lower=lower,
        correlation=_correlation(was, now),
    )
    low: float | None
    high: float | None
    is_share = all(0 <= value <= 1 for value in (*was, *now))
    if groups == count and is_right_or_wrong((*was, *now)):
        low, high = bonett_price(higher, lower, count)
        sure = {"test": "mcnemar", "p_value": mcnemar(higher, lower)}
    elif error is None:
        return found
    elif len(set(differences)) == 1:
        low, high = _constant(found.mean, groups) if is_share else (None, None)
        # All clusters go one way: as likely as that many heads in a row, or tails.
        sure = {"test": "same-sign", "p_value": 2.0 ** (1 - groups)}
        if found.mean == 0:
            sure["p_value"] = 1.0
    else:
        low, high, p_value = student(found.mean, error, groups - 1)
        sure = {"test": "student", "p_value": p_value}
    return found.model_copy(update={"low": low, "high": high, **sure})


def mcnemar(higher: int, lower: int) -> float:
    """Return McNemar's exact two-sided p-value: a fair coin among those that differ.

    >>> mcnemar(8, 1)
    0.0390625
    """
    total = higher + lower
    tail = sum(math.comb(total, few) for few in range(min(higher, lower) + 1))
    # Whole numbers until here: a division of two of any size is rounded once.
    return min(1.0, tail / (1 << total) * 2)


def bonett_price(higher: int, lower: int, count: int) -> tuple[float, float]:
    """Return the adjusted Wald interval of a paired difference of two rates.

    One question is added to each of the two kinds that differ, so that a few
    questions, or none that differ, aren't taken for certainty.
    """
    up, down = (higher + 1) / (count + 2), (lower + 1) / (count + 2)
    half = Z * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def student(mean: float, error: float, degrees: int) -> tuple[float, float, float]:
    """Return Student's interval and its two-sided p-value."""
    reach = student_quantile((1 + CONFIDENCE) / 2, degrees) * error
    p_value = 2 * student_tail(abs(mean) / error, degrees)
    return mean - reach, mean + reach, p_value


def _constant(mean: float, groups: int) -> tuple[float, float]:
    """All differences are one number; few of all questions can be otherwise."""
    few = most_otherwise(groups)
    middle = mean * (1 - few)
    return max(-1.0, middle - few), min(1.0, middle + few)


def _correlation(was: Sequence[float], now: Sequence[float]) -> float | None:
    count = len(was)
    old_mean, new_mean = math.fsum(was) / count, math.fsum(now) / count
    old = [value - old_mean for value in was]
    new = [value - new_mean for value in now]
    spread = math.sqrt(_inner(old, old) * _inner(new, new))
    return _inner(old, new) / spread if spread else None


def _inner(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
