"""The figures of a study's report, as SVG in the colours of the page.

Measured values are filled marks with their 95% intervals; published ones are hollow,
grey, and named in the legend. Every figure is also in the tables of the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evals.study.reported import ReportedCell, ReportedScore, StudyReport
from evals.study.tables import expected_of, told_cell
from ledger.svg_figure import INK, svg_figure
from specs.study import Figure
from specs.study_graph import study_graph
from specs.study_lines import stage_lines
from specs.study_loaded import Study

COLOURS = ("#2a78d6", "#d9622b", "#1f9d70", "#a34bc0", "#c2952a", "#7d7d7d")
GHOST = "#8a8a8a"
MOST_BARS = 40
"""More can't be told apart on a screen."""


class Drawn(NamedTuple):
    """One panel."""

    title: str
    caption: str
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
    names = [labels[cell.point] for cell in cells]

    def paint(axes: Any) -> None:
        if figure.kind == "line" and figure.x is not None:
            _line(axes, list(figure.x.values), cells, ghosts)
            axes.set_xlabel(figure.x.label)
        elif figure.kind == "stages":
            _stages(axes, cells, ghosts, study, labels)
        else:
            _bars(axes, names, cells, ghosts)
        _finish(axes, score, is_across=figure.kind == "bars")

    height = 0.38 * len(cells) + 1.1 if figure.kind == "bars" else 3.4
    unit = "%" if score.unit == "percent" else "higher is better"
    if score.unit != "percent" and score.better == "lower":
        unit = "lower is better"
    return Drawn(
        title=f"{figure.title}: {score.label}",
        caption=f"{score.label} ({unit}), with 95% intervals where they are known."
        + (f" Published: {figure.source}." if figure.source else ""),
        svg=svg_figure(paint, told=told, height=height),
    )


def _ghost(report: StudyReport, cell: ReportedCell) -> float | None:
    published = expected_of(report, cell.point, cell.score)
    return published[0].value if published else None


def _bars(
    axes: Any,
    names: Sequence[str],
    cells: Sequence[ReportedCell],
    ghosts: Sequence[float | None],
) -> None:
    places = range(len(cells))
    for place, cell in zip(places, cells, strict=True):
        if cell.value is not None:
            axes.barh(place, cell.value, height=0.6, color=COLOURS[0], alpha=0.85)
            if cell.low is not None and cell.high is not None:
                axes.plot([cell.low, cell.high], [place, place], color=INK, linewidth=2)
    _ghost_marks(
        axes, [(one, place) for place, one in zip(places, ghosts, strict=True)]
    )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()


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
    values = {cell.point: cell.value for cell in cells}
    lines = stage_lines(list(places), points, study_graph(study.experiments))
    for number, line in enumerate(lines):
        known = [
            (places[point], values[point])
            for point in line
            if values[point] is not None
        ]
        if known:
            xs, ys = zip(*known, strict=True)
            axes.plot(
                xs,
                ys,
                color=COLOURS[number % len(COLOURS)],
                marker="o",
                markersize=4,
                linewidth=1.4,
                label=labels[line[-1]],
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
            frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=3
        )
