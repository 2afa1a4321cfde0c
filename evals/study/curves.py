"""How runs of a study went: loss over steps, above the mixture that they drew from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.entry import Entry
from ledger.objects import ObjectStore
from ledger.series import decode_series
from ledger.svg_figure import INK, svg_figure
from specs.plan import Plan, PlannedStage

MAX_POINTS = 400
BAND_COLOURS = (
    "#2a78d6",
    "#d9622b",
    "#1f9d70",
    "#a34bc0",
    "#c2952a",
    "#5aa9a3",
    "#b0506b",
    "#7d7d7d",
)
LOSS = "loss"
_BAND_HEIGHT = 0.22
"""Of the axes, beneath the curve."""


def band_colours(sources: Sequence[str]) -> dict[str, str]:
    """Give every source of a study a colour, the same in all figures."""
    return {
        source: BAND_COLOURS[index % len(BAND_COLOURS)]
        for index, source in enumerate(sorted(sources))
    }


def training_curve(
    entry: Entry, objects: ObjectStore, colours: Mapping[str, str]
) -> str | None:
    """Draw the loss of a run with bands of its mixture; None if no loss was logged.

    Args:
        entry: Of the run.
        objects: Hold its series and its plan.
        colours: Source -> colour.
    """
    plan = Plan.model_validate(objects.get_json(entry.plan))
    points = [
        (point.step, float(point.values[LOSS]))
        for stage in entry.stages
        for point in decode_series(objects.get(stage.metrics))
        if LOSS in point.values and math.isfinite(float(point.values[LOSS]))
    ]
    if not points:
        return None
    every = -(-len(points) // MAX_POINTS)
    thinned = points[::every]
    told = (
        f"Loss of {entry.name}: {points[0][1]:.3g} at step {points[0][0]:,}, "
        f"{points[-1][1]:.3g} at step {points[-1][0]:,}. "
        + " ".join(_told_stage(stage) for stage in plan.stages)
    )

    def paint(axes: Any) -> None:
        axes.plot(*zip(*thinned, strict=True), color=INK, linewidth=1.4)
        low, high = axes.get_ylim()
        axes.set_ylim(low - (high - low) * _BAND_HEIGHT / (1 - _BAND_HEIGHT), high)
        for stage in plan.stages:
            _bands(axes, stage, colours)
            axes.axvline(stage.start_step, color=INK, linewidth=0.5, alpha=0.4)
        axes.set_xlim(0, plan.num_steps)
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats per token")

    return svg_figure(paint, told=told, height=2.8)


def token_bars(
    tokens: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]
) -> str:
    """Draw how many tokens of each source every run was trained on.

    Args:
        tokens: Run -> source -> tokens.
        colours: Source -> colour.
    """
    told = "Tokens by source: " + "; ".join(
        f"{name} " + ", ".join(f"{source} {count:,}" for source, count in one.items())
        for name, one in tokens.items()
    )

    def paint(axes: Any) -> None:
        for place, one in enumerate(tokens.values()):
            start = 0
            for source, count in sorted(one.items()):
                axes.barh(place, count, left=start, height=0.6, color=colours[source])
                start += count
        axes.set_yticks(range(len(tokens)), list(tokens))
        axes.invert_yaxis()
        axes.set_xlabel("tokens")

    return svg_figure(paint, told=told, height=0.34 * len(tokens) + 0.8)


def _bands(axes: Any, stage: PlannedStage, colours: Mapping[str, str]) -> None:
    base = 0.0
    for source, count in sorted(stage.sequences.items()):
        share = count / stage.num_sequences * _BAND_HEIGHT * 0.8
        axes.axvspan(
            stage.start_step,
            stage.stop_step,
            ymin=base,
            ymax=base + share,
            color=colours[source],
            linewidth=0,
        )
        base += share


def _told_stage(stage: PlannedStage) -> str:
    shares = ", ".join(
        f"{source} {100 * count / stage.num_sequences:.0f}%"
        for source, count in sorted(stage.sequences.items())
    )
    return f"Stage {stage.name}, steps {stage.start_step:,} on: {shares}."
