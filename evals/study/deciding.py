"""What would decide a claim that is undecided: how many seeds, or what else.

A plan, with the usual power: if scores and deviations are what they look like, so many
seeds of each point bring the verdict about in 4 of 5 tries. The interval that is needed
is taken to have Student's distribution, where the difference has one as well:

    |sum| >= error * (t(confidence) + t(power))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evals.statistics.power import POWER
from evals.study.sums import Sum


class Levels(NamedTuple):
    """Confidence of the two-sided intervals whose ends decide."""

    to_support: float
    """All sums of a claim must be above 0."""
    to_contradict: float
    """Any must be below."""


def what_decides(open_ones: Sequence[Sum], levels: Levels) -> tuple[int | None, str]:
    """Say what would decide a claim.

    Args:
        open_ones: Those of its sums that nothing is shown of; at least one.
        levels: Of the claim.

    Returns:
        Seeds of each point, if they would do; and what would, in words.
    """
    if any(one.seeds is None for one in open_ones):
        if all(one.error is None for one in open_ones):
            return None, "one run each tells nothing: train a second seed of some point"
        return None, (
            "these runs do not differ enough for so few questions; a second seed of "
            "some point would tell how much recipes do"
        )
    if any(not one.error for one in open_ones):
        return None, "no two seeds differ, so that nothing tells how sure they are"
    number = _seeds_to_decide(open_ones, levels)
    if number is None:
        return None, (
            "no number of seeds would decide it, as far as these runs tell: the "
            "difference is too small"
        )
    return number, (
        f"{number} seeds of each point would decide it in 4 of 5 tries, if scores and "
        "deviations are what they look like"
    )


def _seeds_to_decide(open_ones: Sequence[Sum], levels: Levels) -> int | None:
    # One sum on the other side contradicts a claim, and then the rest doesn't matter.
    against = [one for one in open_ones if one.value < 0]
    if against:
        needed = [one.seeds_to_decide(levels.to_contradict, POWER) for one in against]
        return min((one for one in needed if one is not None), default=None)
    # All must come about, so that each must be the more likely to.
    power = 1 - (1 - POWER) / len(open_ones)
    needed = [one.seeds_to_decide(levels.to_support, power) for one in open_ones]
    known = [one for one in needed if one is not None]
    return max(known) if len(known) == len(needed) else None
