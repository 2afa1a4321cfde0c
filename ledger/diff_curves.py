"""Overlaid curves of several runs as SVG that is the same bytes every time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.operands import Opened
from ledger.series import decode_series
from ledger.svg_figure import INK, svg_figure
from specs.schedule import learning_rate_at

MAX_POINTS = 400
"""Points of a curve; more can't be told apart on a screen."""

COLOURS = ("#2a78d6", "#d9622b", "#1f9d70", "#a34bc0", "#c2952a", "#7d7d7d")
"""Of the operands, in order; they stand out on light and on dark."""


class Curve(NamedTuple):
    """One quantity of one operand."""

    label: str
    colour: str
    steps: Sequence[int]
    values: Sequence[float]


def curves_of(opened: Sequence[Opened]) -> dict[str, list[Curve]]:
    """Collect the curves of all operands by quantity; specs have a learning rate."""
    found: dict[str, list[Curve]] = {}
    for index, one in enumerate(opened):
        colour = COLOURS[index % len(COLOURS)]
        for name, points in _points(one).items():
            steps, values = zip(*_thinned(points), strict=True)
            curve = Curve(one.operand.label, colour, steps, values)
            found.setdefault(name, []).append(curve)
    return found


def stage_borders(opened: Sequence[Opened]) -> list[int]:
    """Return the steps at which a stage of the first operand begins, but the first."""
    return [stage.start_step for stage in opened[0].side.plan.stages[1:]]


def draw(name: str, curves: Sequence[Curve], borders: Sequence[int]) -> str:
    """Draw the curves of one quantity.

    Args:
        name: Of the quantity.
        curves: One per operand that has it.
        borders: Steps at which stages begin.
    """
    told = f"{name} by step: " + ", ".join(one.label for one in curves)
    return svg_figure(lambda axes: _paint(axes, curves, borders), told=told)


def _paint(axes: Any, curves: Sequence[Curve], borders: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    for index, curve in enumerate(curves):
        # A curve that lies under another one still shows.
        dashes = "-" if index == 0 else (0, (6 - index % 4, 2))
        axes.plot(
            curve.steps,
            curve.values,
            linestyle=dashes,
            marker="o" if len(curve.steps) < 12 else "",
            markersize=3,
            color=curve.colour,
            linewidth=1.6,
        )
    for border in borders:
        axes.axvline(border, color=INK, linewidth=0.6, alpha=0.4)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _points(opened: Opened) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    entry, objects = opened.entry, opened.objects
    if entry is None or objects is None:
        return {"learning_rate": _planned_rates(opened)}
    for stage in entry.stages:
        for point in decode_series(objects.get(stage.metrics)):
            for name, text in point.values.items():
                if math.isfinite(value := float(text)):
                    found.setdefault(name, []).append((point.step, value))
    for score in entry.scores:
        for name, text in score.values.items():
            is_error = name.endswith("_standard_error")
            if score.step > 0 and not is_error and math.isfinite(float(text)):
                points = found.setdefault(f"{score.suite}/{name}", [])
                points.append((score.step, float(text)))
    return found


def _planned_rates(opened: Opened) -> list[tuple[int, float]]:
    points = []
    for stage in opened.side.plan.stages:
        every = max(1, stage.num_steps // (MAX_POINTS // 4))
        for at in sorted({*range(0, stage.num_steps, every), stage.num_steps - 1}):
            rate = learning_rate_at(stage.learning_rate, at, stage.num_steps)
            points.append((stage.start_step + at, rate))
    return points


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    every = -(-len(points) // MAX_POINTS)
    return points[::every] if every > 1 else points
