"""Figures as SVG that is the same bytes every time, in the colours of the page."""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any

# What is drawn in this colour takes the colour of the page's text.
INK = "#010203"
# And in this one, that of its background.
PAPER = "#fcfdfe"

_PAGE = (
    "<style>:root { color-scheme: light dark; color: #1f2328; } "
    "@media (prefers-color-scheme: dark) { :root { color: #e6edf3; } }</style>"
)


def svg_figure(
    paint: Callable[[Any], None], *, told: str, width: float = 7, height: float = 3.2
) -> str:
    """Draw a figure.

    Args:
        paint: Draws on matplotlib's axes.
        told: What it shows, in words.
        width: In inches.
        height: In inches.
    """
    # Taken one by one, so that a display or a user's style has no say.
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.hashsalt": "codemix",
        "svg.fonttype": "none",
        "font.size": 11,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        paint(axes)
        axes.spines[["top", "right"]].set_visible(False)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg ") :].replace(INK, "currentColor")
    svg = svg.replace(PAPER, "Canvas")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(told)}" ', 1)


def as_file(svg: str) -> bytes:
    """Return a figure as a file of its own, light or dark as its reader's system is."""
    start, tag, rest = svg.partition(">")
    return f"{start}{tag}{_PAGE}{rest}".encode()
