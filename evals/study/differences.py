"""How far points are from a baseline, with intervals: any point may be the baseline."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evals.study.measured import NotKnown
from evals.study.reported import ReportedPoint, Show, StudyReport, show_nobody
from evals.study.sums import Summing
from evals.study.verdicts import CONFIDENCE
from specs.claims import Cell

MOST_DIFFERENCES = 12_000
"""In a page. Each is some 70 bytes, and an element that a phone has to lay out."""


class Difference(NamedTuple):
    """How far a score is from the baseline's, in the score's unit."""

    value: float
    low: float | None
    """Where it lies with 95% confidence; None: nothing tells."""
    high: float | None
    relative: float | None
    """As a share of the baseline's score; None: that is 0."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0


Differences = Mapping[tuple[str, str, str], Difference]
"""Baseline, point, score -> the difference; those that are not known are left out."""


def difference(
    point: str, baseline: str, score: str, value: float, summing: Summing
) -> Difference | None:
    """Return how far a point's score is from the baseline's; None: not known.

    Args:
        point: Name of the point.
        baseline: Name of the other.
        score: Which score of both.
        value: That of the point.
        summing: Over the study's evidence.
    """
    here, there = Cell(point=point, score=score), Cell(point=baseline, score=score)
    try:
        total = summing.sum_of([(1.0, here), (-1.0, there)])
    except NotKnown:
        return None
    low, high = total.interval(CONFIDENCE) or (None, None)
    return _difference(total.value, low, high, value)


def pickable(report: StudyReport) -> list[ReportedPoint]:
    """Return the points that a page offers as baselines, its own first.

    Those that have a score, in the study's order, as many as a page holds. The first is
    the report's baseline, where it has one.
    """
    known = {one.point for one in report.cells if one.value is not None}
    found = [one for one in report.points if one.is_baseline]
    found += [one for one in report.points if one.name in known and one not in found]
    most = MOST_DIFFERENCES // max(1, len(report.points) * len(report.scores))
    return found[: max(1, most)]


def all_differences(
    report: StudyReport,
    baselines: Sequence[ReportedPoint],
    summing: Summing,
    show: Show = show_nobody,
) -> Differences:
    """Return the differences of all points from each of some baselines.

    Args:
        report: Has the scores.
        baselines: Some of its points.
        summing: Over the study's evidence.
        show: Told how far it is.
    """
    values = {
        (one.point, one.score): one.value
        for one in report.cells
        if one.value is not None
    }
    names = [one.name for one in baselines]
    others = [one.name for one in report.points if one.name not in names]
    pairs = [
        *itertools.combinations(names, 2),
        *itertools.product(names, others),
    ]
    found: dict[tuple[str, str, str], Difference] = {}
    asked = list(itertools.product(pairs, report.scores))
    for done, ((baseline, point), score) in enumerate(asked):
        show("differences", done, len(asked))
        here, there = (point, score.name), (baseline, score.name)
        if here not in values or there not in values:
            continue
        one = difference(point, baseline, score.name, values[here], summing)
        if one is not None:
            found[baseline, point, score.name] = one
            # Turned round it is the same sum with the other sign, to the last bit.
            found[point, baseline, score.name] = _difference(
                -one.value,
                None if one.high is None else -one.high,
                None if one.low is None else -one.low,
                values[there],
            )
    show("differences", len(asked), len(asked))
    return found


def _difference(
    found: float, low: float | None, high: float | None, value: float
) -> Difference:
    base = value - found
    return Difference(found, low, high, found / base if base else None)
