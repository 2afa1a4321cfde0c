"""Numbers over a whole run, drawn together into as many bins as fit on a line."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ledger.entry import Entry
from ledger.floats import float_text
from ledger.objects import ObjectStore
from ledger.series import HEADER
from specs.errors import CheckFailed, CodemixError

WIDTH = 48
"""Bins of a curve, at most."""

FIRST_NAMES = ("loss", "grad_norm", "learning_rate")
"""In this order, before all others."""

Point = tuple[int, float]
"""Step, number."""


class Points(NamedTuple):
    """One number by step: two lists, since there may be many."""

    steps: list[int]
    values: list[float]


class Curve(NamedTuple):
    """One number over the run."""

    name: str
    bins: tuple[float | None, ...]
    """Mean of each bin that has a point, then the last one that had; null before the
    first; not finite where one of its points is not."""
    least: Point | None
    """Where it was least; null if it was never finite."""
    last: Point


def entry_curves(entry: Entry, objects: ObjectStore) -> dict[str, Any]:
    """Return the curves of a run as plain JSON: metrics, then scores by step.

    What can't be read is told under `problem`, and no reason to show nothing else.

    Args:
        entry: Of a run.
        objects: Hold its series.
    """
    starts = [stage.start_step for stage in entry.stages]
    width = min(WIDTH, entry.num_steps)
    told: dict[str, Any] = {
        "stages": [stage.name for stage in entry.stages],
        "borders": [start * width // max(1, entry.num_steps) for start in starts],
        "curves": [],
        "problem": None,
    }
    try:
        points = _metric_points(entry, objects)
    except CodemixError as error:
        points = {}
        told["problem"] = error.problems[0].what
    points |= _score_points(entry)
    for name, one in points.items():
        curve = draw_curve(name, one, num_steps=entry.num_steps, width=width)
        told["curves"].append(_curve_json(curve))
    return told


def draw_curve(name: str, points: Points, *, num_steps: int, width: int) -> Curve:
    """Put points into bins.

    Args:
        name: Of the curve.
        points: At least one, in order.
        num_steps: Steps from the left end to the right one.
        width: Number of bins.

    >>> points = Points([0, 1, 3], [4.0, 2.0, 1.0])
    >>> draw_curve("loss", points, num_steps=4, width=2)
    Curve(name='loss', bins=(3.0, 1.0), least=(3, 1.0), last=(3, 1.0))
    """
    steps, values = points
    # First step of each bin; the last bin takes what is scored after the last step.
    borders = [-(-place * num_steps // width) for place in range(1, width)]
    places = [0, *(bisect_left(steps, border) for border in borders), len(steps)]
    drawn: list[float | None] = []
    for start, stop in pairwise(places):
        if stop > start:
            drawn.append(_mean(values[start:stop]))
        else:
            drawn.append(drawn[-1] if drawn else None)
    finite = list(filter(math.isfinite, values))
    least = min(finite, default=None)
    return Curve(
        name=name,
        bins=tuple(drawn),
        least=None if least is None else (steps[values.index(least)], least),
        last=(steps[-1], values[-1]),
    )


def _mean(values: Sequence[float]) -> float:
    """Average values, some of which may be no finite numbers."""
    # Divided first: the sum of large numbers is no number. Nor is it always then.
    mean = sum(value / len(values) for value in values)
    if math.isinf(mean) and all(map(math.isfinite, values)):
        return max(values, key=abs)
    return mean


def _metric_points(entry: Entry, objects: ObjectStore) -> dict[str, Points]:
    found: list[tuple[int, Mapping[str, str]]] = []
    for stage in entry.stages:
        header, *lines = objects.get(stage.metrics).splitlines(keepends=True)
        if header != HEADER:
            raise CheckFailed("not a metric series: it has another first line")
        # One array is read three times as fast as its lines.
        found += json.loads(b"[%b]" % b",".join(lines))
    points = _by_name(found)
    first = [name for name in FIRST_NAMES if name in points]
    return {name: points[name] for name in dict.fromkeys([*first, *points])}


def _score_points(entry: Entry) -> dict[str, Points]:
    """Return the scores that were taken more than once."""
    scores = sorted(entry.scores, key=lambda score: score.step)
    named = [
        (score.step, {f"{score.suite}/{name}": value for name, value in values.items()})
        for score in scores
        for values in [score.values]
    ]
    found = _by_name(named)
    return {name: points for name, points in found.items() if len(points.steps) > 1}


def _by_name(found: Sequence[tuple[int, Mapping[str, str]]]) -> dict[str, Points]:
    points = {}
    for name in sorted({name for _, values in found for name in values}):
        steps = [step for step, values in found if name in values]
        texts = [values[name] for _, values in found if name in values]
        points[name] = Points(steps, list(map(float, texts)))
    return points


def _curve_json(curve: Curve) -> dict[str, Any]:
    least, last = curve.least, curve.last
    return {
        "name": curve.name,
        "bins": _json_numbers(curve.bins),
        "least": None if least is None else float_text(least[1]),
        "least_step": None if least is None else least[0],
        "last": float_text(last[1]),
        "last_step": last[0],
    }


def _json_numbers(bins: Iterable[float | None]) -> list[float | str | None]:
    return [
        value if value is None or math.isfinite(value) else float_text(value)
        for value in bins
    ]
