"""The figures of a study's report, as SVG in the colours of the page.

Measured values are filled marks with their 95% intervals; published ones are hollow
diamonds, named in the legend. Lines differ in their marks and strokes as well as in
their colours. Every number of a figure is also in the tables of the page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evals.study.reported import ReportedCell, ReportedScore, StudyReport
from evals.study.tables import expected_of, told_cell
from ledger.svg_figure import INK, svg_figure
from specs.study import Figure
from specs.study_graph import study_graph
from specs.study_lines import stage_lines
from specs.study_loaded import Study

COLOURS = ("#2a78d6", "#c8541c", "#178a62", "#a34bc0", "#96710f", "#7a7a7a")
"""At least 3 to 1 against white as against the dark page."""
MARKS = ("o", "s", "^", "v", "P", "X")
STROKES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
GHOST = "#8a8a8a"
WIDTH = 5.2
"""In inches: on a phone and side by side on a screen the letters keep their size."""
LABEL_CHARS = 20
"""Of a line of a label."""
APART = 0.05
"""Of a stage, between the intervals of lines that would lie on each other."""
MOST_BARS = 40
"""More can't be told apart on a screen."""


class Drawn(NamedTuple):
    """One panel."""

    title: str
    """Of the figure."""
    note: str
    """Of the figure."""
    caption: str
    """Of the panel."""
    svg: str


def figures_of(study: Study, report: StudyReport) -> Iterator[Drawn]:
    """Draw the figures that a study asks for, or bars of each score."""
    scores = {one.name: one for one in report.scores}
    for figure in study.figures or _usual(study):
        for name in figure.scores:
            drawn = _drawn(figure, scores[name], study, report)
            if drawn is not None:
                yield drawn


def _usual(study: Study) -> list[Figure]:
    points = tuple(study.points)[:MOST_BARS]
    return [
        Figure(kind="bars", title=score.label or name, points=points, scores=(name,))
        for name, score in study.scores.items()
    ]


def _drawn(
    figure: Figure, score: ReportedScore, study: Study, report: StudyReport
) -> Drawn | None:
    cells = [report.cell(point, score.name) for point in figure.points]
    ghosts = [_ghost(report, cell) for cell in cells]
    if all(cell.value is None for cell in cells) and all(one is None for one in ghosts):
        return None
    labels = {one.name: one.label for one in report.points}
    told = f"{figure.title}, {score.label}: " + "; ".join(
        f"{labels[cell.point]} {told_cell(cell, score)}" for cell in cells
    )
    names = [textwrap.fill(labels[cell.point], LABEL_CHARS) for cell in cells]

    def paint(axes: Any) -> None:
        if figure.kind == "line" and figure.x is not None:
            _line(axes, list(figure.x.values), cells, ghosts)
            axes.set_xlabel(figure.x.label)
        elif figure.kind == "stages":
            _stages(axes, cells, ghosts, study, labels)
        else:
            _bars(axes, names, cells, ghosts, has_zero=score.unit == "percent")
        _finish(axes, score, is_across=figure.kind == "bars")

    lines = sum(name.count("\n") + 1 for name in names)
    height = 0.2 * lines + 0.16 * len(cells) + 1.0 if figure.kind == "bars" else 3.2
    note = "Lines through marks are 95% intervals."
    if figure.source:
        note += f" Compare {figure.source}."
    return Drawn(
        title=figure.title,
        note=note,
        caption=f"{score.label} ({score.better} is better)",
        svg=svg_figure(paint, told=told, width=WIDTH, height=height),
    )


def _ghost(report: StudyReport, cell: ReportedCell) -> float | None:
    published = expected_of(report, cell.point, cell.score)
    return published[0].value if published else None


def _bars(
    axes: Any,
    names: Sequence[str],
    cells: Sequence[ReportedCell],
    ghosts: Sequence[float | None],
    *,
    has_zero: bool,
) -> None:
    """Draw a bar for each point; dots where the scale has no 0 to begin at."""
    places = range(len(cells))
    for place, cell in zip(places, cells, strict=True):
        if cell.value is None:
            continue
        if has_zero:
            axes.barh(place, cell.value, height=0.6, color=COLOURS[0])
        if cell.low is not None and cell.high is not None:
            axes.plot([cell.low, cell.high], [place, place], color=INK, linewidth=1.8)
        if not has_zero:
            axes.plot(cell.value, place, "o", color=COLOURS[0], markersize=7)
    _ghost_marks(
        axes, [(one, place) for place, one in zip(places, ghosts, strict=True)]
    )
    axes.set_yticks(list(places), names)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    if not has_zero:
        axes.grid(axis="x", color=GHOST, alpha=0.35, linewidth=0.6)


def _line(
    axes: Any,
    values: Sequence[float],
    cells: Sequence[ReportedCell],
    ghosts: Sequence[float | None],
) -> None:
    known = [
        (x, cell)
        for x, cell in zip(values, cells, strict=True)
        if cell.value is not None
    ]
    axes.plot(
        [x for x, _ in known],
        [cell.value for _, cell in known],
        color=COLOURS[0],
        marker="o",
        markersize=4,
        linewidth=1.6,
    )
    for x, cell in known:
        if cell.low is not None and cell.high is not None:
            axes.plot([x, x], [cell.low, cell.high], color=COLOURS[0], linewidth=1.2)
    published = [
        (x, one) for x, one in zip(values, ghosts, strict=True) if one is not None
    ]
    if published:
        axes.plot(
            *zip(*published, strict=True), color=GHOST, linestyle=":", linewidth=1
        )
    _ghost_marks(axes, published)
    axes.set_xticks(list(values))


def _stages(
    axes: Any,
    cells: Sequence[ReportedCell],
    ghosts: Sequence[float | None],
    study: Study,
    labels: Mapping[str, str],
) -> None:
    """Draw a line for each way through the stages that ends in one of the points."""
    points = study.points
    places = {cell.point: points[cell.point].stage_index + 1 for cell in cells}
    found = {cell.point: cell for cell in cells}
    lines = stage_lines(list(places), points, study_graph(study.experiments))
    for number, line in enumerate(lines):
        aside = (number - (len(lines) - 1) / 2) * APART
        known = [found[point] for point in line if found[point].value is not None]
        if not known:
            continue
        axes.plot(
            [places[cell.point] + aside for cell in known],
            [cell.value for cell in known],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number % len(MARKS)],
            linestyle=STROKES[number % len(STROKES)],
            markersize=5,
            linewidth=1.5,
            label=textwrap.fill(labels[line[-1]], LABEL_CHARS),
        )
        for cell in known:
            if cell.low is not None and cell.high is not None:
                axes.plot(
                    [places[cell.point] + aside] * 2,
                    [cell.low, cell.high],
                    color=COLOURS[number % len(COLOURS)],
                    linewidth=1,
                )
    _ghost_marks(
        axes,
        [(places[cell.point], one) for cell, one in zip(cells, ghosts, strict=True)],
    )
    axes.set_xticks(range(1, max(places.values()) + 1))
    axes.set_xlabel("stage")


def _ghost_marks(axes: Any, places: Sequence[tuple[Any, Any]]) -> None:
    known = [one for one in places if None not in one]
    if known:
        axes.plot(
            *zip(*known, strict=True),
            linestyle="",
            marker="D",
            markersize=6,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.4,
            label="published",
        )


def _finish(axes: Any, score: ReportedScore, *, is_across: bool) -> None:
    name = f"{score.label}, %" if score.unit == "percent" else score.label
    (axes.set_xlabel if is_across else axes.set_ylabel)(name)
    if axes.get_legend_handles_labels()[1]:
        # Above the axes: within, it would lie on bars.
        axes.legend(
            frameon=False,
            fontsize=10,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=2,
            handlelength=3,
        )
