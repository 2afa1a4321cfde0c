"""A picture of funnels: what each step leaves of the documents, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ledger.diff_curves import COLOURS
from ledger.svg_figure import INK, as_file, svg_figure
from runtime.data_stats import is_dropping
from runtime.funnel import Funnel, Step
from specs.atomic import write_atomically

LEFT, TAKEN = COLOURS[0], COLOURS[1]
_INCHES_PER_ROW = 0.3
_INCHES_AROUND = 0.8
_GAP = 0.6
"""Rows between two sources."""


class _Row(NamedTuple):
    """One line of the picture; shares are of the documents read, in percent."""

    label: str
    left: float
    taken: float
    told: str
    is_first: bool = False
    """Of its source."""


def write_figure(path: Path, funnels: Mapping[str, Funnel]) -> None:
    """Draw funnels below each other as an SVG file, in the colours of the page.

    Args:
        path: The file.
        funnels: By name of the source.
    """
    rows = [row for _, funnel in sorted(funnels.items()) for row in _rows(funnel)]
    told = "documents by step: " + "; ".join(
        f"{row.label.strip()} {row.told}" for row in rows
    )
    height = _INCHES_AROUND + _INCHES_PER_ROW * (len(rows) + _GAP * len(funnels))
    svg = svg_figure(
        lambda axes: _paint(axes, rows), told=told, width=8.5, height=height
    )
    write_atomically(path, as_file(svg))


def _paint(axes: Any, rows: list[_Row]) -> None:
    places = _places(rows)
    left, taken = [row.left for row in rows], [row.taken for row in rows]
    axes.barh(places, left, height=0.72, color=LEFT, label="left")
    axes.barh(places, taken, left=left, height=0.72, color=TAKEN, label="dropped")
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    for place, row in zip(places, rows, strict=True):
        end = row.left + row.taken + 1
        axes.text(end, place, row.told, va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [row.label for row in rows])
    axes.set_ylim(places[-1] + 0.5, -0.5)
    # Room for what is written behind the longest bar.
    axes.set_xlim(0, 160)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("% of the documents read")


def _places(rows: list[_Row]) -> list[float]:
    """Return where each row is drawn: sources stand apart."""
    places: list[float] = []
    for row in rows:
        gap = _GAP if row.is_first and places else 0
        places.append(places[-1] + 1 + gap if places else 0)
    return places


def _rows(funnel: Funnel) -> list[_Row]:
    num_read = sum(step.documents for step in funnel.read)
    percent = 100 / max(num_read, 1)
    label, told = f"{funnel.source}: read", f"{num_read:,} documents"
    rows = [_Row(label, num_read * percent, 0, told, is_first=True)]
    left = num_read
    for step in funnel.read:
        told = f"{step.documents:,}{_tokens(step)}"
        if is_dropping(step.name):
            left -= step.documents
            told = f"-{told}" if step.documents else told
            row = _Row(step.name, left * percent, step.documents * percent, told)
        else:
            row = _Row(step.name, step.documents * percent, 0, told)
        # What is empty hardly ever happens, and is in the table.
        if step.documents or step.name != "empty":
            rows.append(row)
    return rows


def _tokens(step: Step) -> str:
    if step.tokens is None or not step.documents:
        return ""
    return f", {'' if step.is_exact else '~'}{step.tokens:,} tokens"
