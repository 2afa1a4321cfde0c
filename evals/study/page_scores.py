"""The tables of scores and of differences, with the choice of what to compare with.

The page has no script: each possible baseline has its differences in the page, and the
style shows those of the option that is chosen. Whoever has no style, or a browser that
is older than `:has()`, sees those of the first baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from evals.study.differences import Difference, Differences
from evals.study.markup import Markup, number, table
from evals.study.reported import (
    ReportedCell,
    ReportedPoint,
    ReportedScore,
    StudyReport,
)
from evals.study.tables import (
    DIGEST_CHARS,
    expected_of,
    told_cell,
    told_difference,
    told_number,
    told_relative,
)


def scores_table(report: StudyReport) -> Markup:
    """Return the scores of all points, each linked to the entries that it stands in."""
    rows = [
        [
            _point(point),
            *(
                _cell(report, report.cell(point.name, score.name), score)
                for score in report.scores
            ),
        ]
        for point in report.points
    ]
    caption = "Each score with its 95% interval; it links to the entries it stands in."
    if report.expected:
        caption += " \N{WHITE DIAMOND} is what was published."
    return table("scores", _header(report), rows, caption, kind="numbers")


def differences_table(
    report: StudyReport, baselines: Sequence[ReportedPoint], found: Differences
) -> Markup:
    """Return the differences from a baseline, and what chooses it.

    Args:
        report: Has the points and scores.
        baselines: Those that can be chosen; the first is chosen.
        found: The differences from each.
    """
    rows = [
        [
            _point(point),
            *(
                _differences(found, baselines, point, score.name, score)
                for score in report.scores
            ),
        ]
        for point in report.points
    ]
    places = {one.name: index for index, one in enumerate(baselines)}
    marks = {
        index: f' class="r{places[point.name]}"'
        + (" hidden" if places[point.name] == 0 else "")
        for index, point in enumerate(report.points)
        if point.name in places
    }
    caption = (
        "Each score less that of the point above, with the 95% interval of the "
        "difference; below, as a share of that point's score. Bold: the interval "
        "leaves 0 out. The scores are in the table before."
    )
    shown = table(
        "differences", _header(report), rows, caption, kind="numbers", row_marks=marks
    )
    return Markup(_picker(report, baselines) + shown)


def picking_style(count: int) -> str:
    """Return the style that shows what is chosen of so many baselines."""

    def where(mark: str) -> str:
        return ",".join(
            f":root:has(#b{one}:checked) .{mark}{one}" for one in range(count)
        )

    # A browser that can't choose shows nothing to choose with.
    return (
        ".pick { display: none } @supports selector(:has(*)) { .pick { display: block }"
        f" .d {{ display: none }} {where('d')} {{ display: block }}"
        f" .numbers tr {{ display: table-row }} {where('r')} {{ display: none }} }}"
    )


def _picker(report: StudyReport, baselines: Sequence[ReportedPoint]) -> str:
    options = "".join(
        f'<option id="b{index}"{"" if index else " selected"}>'
        f"{escape(one.label)}</option>"
        for index, one in enumerate(baselines)
    )
    told = "".join(
        f'<span class="d d{index}"{" hidden" if index else ""}>Differences from '
        f"<strong>{escape(one.label)}</strong>, {escape(one.stage)}.</span>"
        for index, one in enumerate(baselines)
    )
    num_known = len({one.point for one in report.cells if one.value is not None})
    fewer = ""
    if len(baselines) < num_known:
        fewer = (
            f'<p class="soft">{len(baselines)} of {num_known} points can be chosen '
            "here; codemix report --baseline names any.</p>"
        )
    return (
        '<p class="pick"><label for="baseline">Compare with</label> '
        f'<select id="baseline">{options}</select></p>{fewer}'
        f'<p role="status">{told}</p>'
    )


def _header(report: StudyReport) -> list[str]:
    def told(score: ReportedScore) -> str:
        return f"{score.label}, %" if score.unit == "percent" else score.label

    return ["Point", *(told(score) for score in report.scores)]


def _point(point: ReportedPoint) -> Markup:
    told = point.stage
    if len(point.runs) < point.num_wanted:
        told += f", {len(point.runs)} of {point.num_wanted} runs"
    elif point.num_wanted > 1:
        told += f", {point.num_wanted} runs"
    told = "; ".join([told, *point.stopped])
    return Markup(f"{escape(point.label)}<small>{escape(told)}</small>")


def _cell(report: StudyReport, cell: ReportedCell, score: ReportedScore) -> Markup:
    parts = []
    if cell.value is None:
        parts.append(f'<span class="soft" title="{escape(cell.why)}">-</span>')
    else:
        value, _, interval = told_cell(cell, score).partition(" ")
        first, *others = (f"#e-{one[:DIGEST_CHARS]}" for one in cell.sources)
        parts.append(f'<a href="{first}">{number(value)}</a>')
        # Several seeds, or evaluations: the others are numbered like footnotes.
        more = " ".join(
            f'<a href="{one}" aria-label="source {index}">{index}</a>'
            for index, one in enumerate(others, start=2)
        )
        if more:
            parts.append(f'<span class="more">{more}</span>')
        if interval:
            parts.append(f"<small>{number(interval)}</small>")
    for one in expected_of(report, cell.point, cell.score)[:1]:
        title = escape(f"{one.kind}, {one.source}")
        parts.append(
            f'<small class="ghost" title="{title}"><span aria-hidden="true">'
            '\N{WHITE DIAMOND}</span><span class="unseen">published</span> '
            f"{number(told_number(one.value, score))}</small>"
        )
    return Markup("".join(parts))


def _differences(
    found: Differences,
    baselines: Sequence[ReportedPoint],
    point: ReportedPoint,
    name: str,
    score: ReportedScore,
) -> Markup:
    parts = []
    for index, baseline in enumerate(baselines):
        if baseline.name == point.name:
            continue
        one = found.get((baseline.name, point.name, name))
        told = "-" if one is None else _difference(one, score)
        hidden = " hidden" if index else ""
        parts.append(f'<span class="d d{index}"{hidden}>{told}</span>')
    return Markup("".join(parts))


def _difference(one: Difference, score: ReportedScore) -> str:
    value = told_difference(one.value, score)
    lines = [f"<b>{value}</b>" if one.is_told_apart else value]
    if one.low is not None and one.high is not None:
        low, high = (told_difference(end, score) for end in (one.low, one.high))
        lines.append(f"[{low}, {high}]")
    if one.relative is not None:
        lines.append(told_relative(one.relative))
    return number("\n".join(lines))
