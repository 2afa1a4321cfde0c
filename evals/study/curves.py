"""How runs of a study went: loss over steps, above the mixture that they drew from."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ledger.entry import Entry
from ledger.objects import ObjectStore
from ledger.series import decode_series
from ledger.svg_figure import INK, PAPER, svg_figure
from specs.plan import Plan, PlannedStage

MAX_POINTS = 400
# Those of Okabe and Ito (2008), which colour-blind people tell apart, in an order that
# puts dark beside light. What is wide enough bears its name besides.
BAND_COLOURS = (
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#0072b2",
    "#f0e442",
    "#d55e00",
    "#999999",
)
WIDTH = 5.2
"""In inches, as the other figures."""
LABEL_CHARS = 26
"""Of a line of a label."""
LOSS = "loss"
_BAND_HEIGHT = 0.3
"""Of the axes, beneath the curve."""
_NAMED_SHARE = 0.22
"""Of a mixture: a band of less is too low for letters."""
_LETTER_POINTS = 6.0
"""How wide a letter of a name is, at most."""


class Fill(NamedTuple):
    """How the tokens of a source are drawn."""

    colour: str
    is_hatched: bool
    """Told apart from the source that has the same colour without."""

    @property
    def css(self) -> str:
        """The same as a background of the page."""
        if not self.is_hatched:
            return self.colour
        return f"repeating-linear-gradient(45deg,{self.colour} 0 3px,Canvas 3px 5px)"

    @property
    def drawn(self) -> dict[str, Any]:
        """The same for matplotlib, with a line between neighbours."""
        return {
            "facecolor": self.colour,
            "hatch": "///" if self.is_hatched else None,
            "edgecolor": PAPER,
            "linewidth": 0.8,
        }


def band_fills(sources: Sequence[str]) -> dict[str, Fill]:
    """Give every source of a study its colour, the same in all figures.

    >>> [fill.is_hatched for fill in band_fills("abcdefghi").values()][-2:]
    [False, True]
    """
    count = len(BAND_COLOURS)
    return {
        source: Fill(BAND_COLOURS[index % count], is_hatched=index >= count)
        for index, source in enumerate(sorted(sources))
    }


def training_curve(
    entry: Entry, objects: ObjectStore, fills: Mapping[str, Fill]
) -> str | None:
    """Draw the loss of a run with bands of its mixture; None if no loss was logged.

    Args:
        entry: Of the run.
        objects: Hold its series and its plan.
        fills: Source -> how it is drawn.
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
        # None below the curve: bands are no losses.
        axes.set_yticks([one for one in axes.get_yticks() if low <= one <= high])
        axes.set_ylim(low - (high - low) * _BAND_HEIGHT / (1 - _BAND_HEIGHT), high)
        for stage in plan.stages:
            _bands(axes, stage, fills, stage.num_steps / plan.num_steps)
            axes.axvline(stage.start_step, color=INK, linewidth=0.5, alpha=0.5)
        axes.set_xlim(0, plan.num_steps)
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats per token")

    return svg_figure(paint, told=told, width=WIDTH, height=2.8)


def token_bars(
    tokens: Mapping[str, Mapping[str, int]], fills: Mapping[str, Fill]
) -> str:
    """Draw how many tokens of each source every run was trained on.

    Args:
        tokens: Run -> source -> tokens.
        fills: Source -> how it is drawn.
    """
    told = "Tokens by source: " + "; ".join(
        f"{name} " + ", ".join(f"{source} {count:,}" for source, count in one.items())
        for name, one in tokens.items()
    )
    names = [textwrap.fill(name, LABEL_CHARS) for name in tokens]

    def paint(axes: Any) -> None:
        from matplotlib.ticker import EngFormatter, MaxNLocator

        for place, one in enumerate(tokens.values()):
            start = 0
            for source, count in sorted(one.items()):
                axes.barh(place, count, left=start, height=0.7, **fills[source].drawn)
                start += count
        axes.set_yticks(range(len(tokens)), names)
        axes.set_ylim(len(tokens) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("tokens")

    lines = max(name.count("\n") + 1 for name in names)
    height = (0.18 * lines + 0.1) * len(tokens) + 0.7
    return svg_figure(paint, told=told, width=WIDTH, height=height)


def _bands(
    axes: Any, stage: PlannedStage, fills: Mapping[str, Fill], width: float
) -> None:
    """Draw the mixture of a stage that takes up so much of the width."""
    base, top = 0.0, _BAND_HEIGHT * 0.85
    points = width * axes.bbox.width * 72 / axes.figure.dpi
    for source, count in sorted(stage.sequences.items()):
        share = count / stage.num_sequences
        axes.axvspan(
            stage.start_step,
            stage.stop_step,
            ymin=base,
            ymax=base + share * top,
            **fills[source].drawn,
        )
        if share >= _NAMED_SHARE and len(source) * _LETTER_POINTS < points:
            axes.text(
                (stage.start_step + stage.stop_step) / 2,
                base + share * top / 2,
                source,
                transform=axes.get_xaxis_transform(),
                horizontalalignment="center",
                verticalalignment="center",
                fontsize=9,
                color=letters_on(fills[source].colour),
                bbox={"facecolor": fills[source].colour, "linewidth": 0, "pad": 1},
            )
        base += share * top


def letters_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour.

    >>> letters_on("#f0e442"), letters_on("#0072b2")
    ('#000000', '#ffffff')
    """
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4
        for one in channels
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Of WCAG's contrasts (1 + 0.05) / (L + 0.05) and (L + 0.05) / 0.05 the larger.
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def _told_stage(stage: PlannedStage) -> str:
    shares = ", ".join(
        f"{source} {100 * count / stage.num_sequences:.0f}%"
        for source, count in sorted(stage.sequences.items())
    )
    return f"Stage {stage.name}, steps {stage.start_step:,} on: {shares}."
