"""A study's report as text: Markdown for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from evals.study.reported import (
    ReportedCell,
    ReportedExpectation,
    ReportedScore,
    StudyReport,
)
from evals.study.verdicts import Finding, Verdict

DIGEST_CHARS = 12

CSV_COLUMNS = (
    "point",
    "score",
    "unit",
    "value",
    "low",
    "high",
    "basis",
    "num_seeds",
    "against_baseline",
    "against_low",
    "against_high",
    "relative",
    "published",
    "published_source",
    "sources",
    "why",
)


def told_number(value: float, score: ReportedScore) -> str:
    """Return a number of a score for people, with as many decimals as all of it.

    >>> loss = ReportedScore(
    ...     name="l", label="l", unit="plain", better="lower", decimals=3
    ... )
    >>> told_number(1.2, loss)
    '1.200'
    """
    return f"{value:,.{score.decimals}f}"


def told_cell(cell: ReportedCell, score: ReportedScore) -> str:
    """Return a cell with its interval; an empty one as a dash."""
    if cell.value is None:
        return "-"
    text = told_number(cell.value, score)
    if cell.low is None or cell.high is None:
        return text
    low, high = told_number(cell.low, score), told_number(cell.high, score)
    return f"{text} [{low}, {high}]"


def told_difference(value: float, score: ReportedScore) -> str:
    """Return a difference between numbers of a score, with its sign.

    >>> share = ReportedScore(name="s", label="s", unit="percent", better="higher")
    >>> told_difference(-0.04, share)
    '+0.0'
    """
    return f"{value:+z,.{score.decimals}f}"


def told_relative(relative: float | None) -> str:
    """Return how far a score is from the baseline's, as a share of it."""
    return "" if relative is None else f"{100 * relative:+z,.1f}%"


def told_finding(one: Finding) -> str:
    """Return what a sum of a claim came to."""
    text = f"{one.difference:+.3g}"
    if one.low is None or one.high is None:
        return text
    if one.surplus != one.difference:
        text += f"; less the margin {one.surplus:+.3g}"
    return f"{text} [{one.low:+.3g}, {one.high:+.3g}]"


def told_verdict(verdict: Verdict) -> str:
    """Return the verdict of a claim in a few words."""
    if verdict.outcome in ("supported", "contradicted") and verdict.basis == "runs":
        return f"{verdict.outcome} by these runs"
    return verdict.outcome


def expected_of(
    report: StudyReport, point: str, score: str
) -> tuple[ReportedExpectation, ...]:
    """Return the published results of a cell, printed ones first."""
    kinds = ("printed", "digitised", "inferred")
    found = [one for one in report.expected if (one.point, one.score) == (point, score)]
    return tuple(sorted(found, key=lambda one: kinds.index(one.kind)))


def told_stopped(report: StudyReport) -> list[str]:
    """Return a line for each run that a point lacks as it was stopped before."""
    return [f"{point.label}: {one}" for point in report.points for one in point.stopped]


def report_markdown(report: StudyReport) -> str:
    """Write the report as Markdown."""
    parts = [f"# {report.name}"]
    if report.description:
        parts.append(report.description)
    parts += ["## Scores", _scores(report)]
    if stopped := told_stopped(report):
        parts.append("\n".join(f"- {one}" for one in stopped))
    if any(cell.relative is not None for cell in report.cells):
        base = next(one.label for one in report.points if one.is_baseline)
        parts += [f"## Against {base}", _relative(report)]
    if report.expected:
        parts += ["## Published", _published(report)]
    if report.claims:
        parts += ["## Claims", _claims(report)]
    parts += ["## Entries", _entries(report)]
    return "\n\n".join(parts) + "\n"


def report_csv(report: StudyReport) -> str:
    """Write a row per cell, every number to its last digit."""
    scores = {one.name: one for one in report.scores}
    written = io.StringIO()
    writer = csv.DictWriter(written, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell in report.cells:
        published = expected_of(report, cell.point, cell.score)
        row = {
            name: value
            for name, value in cell.to_json().items()
            if name in CSV_COLUMNS and name != "sources"
        }
        writer.writerow(
            {
                **row,
                "unit": scores[cell.score].unit,
                "published": published[0].value if published else None,
                "published_source": published[0].source if published else None,
                "sources": " ".join(cell.sources),
            }
        )
    return written.getvalue()


def _scores(report: StudyReport) -> str:
    rows = [
        [
            point.label,
            point.stage,
            f"{len(point.runs)} of {point.num_wanted}",
            *(
                told_cell(report.cell(point.name, score.name), score)
                for score in report.scores
            ),
        ]
        for point in report.points
    ]
    labels = [score.label for score in report.scores]
    return _table(["point", "stage", "runs", *labels], rows)


def _relative(report: StudyReport) -> str:
    rows = [
        [
            point.label,
            *(
                told_relative(report.cell(point.name, score.name).relative)
                for score in report.scores
            ),
        ]
        for point in report.points
        if not point.is_baseline
    ]
    return _table(["point", *(score.label for score in report.scores)], rows)


def _published(report: StudyReport) -> str:
    labels = {point.name: point.label for point in report.points}
    scores = {score.name: score for score in report.scores}
    rows = []
    for one in report.expected:
        score = scores[one.score]
        cell = report.cell(one.point, one.score)
        rows.append(
            [
                labels[one.point],
                score.label,
                told_number(one.value, score),
                _where(one),
                told_cell(cell, score),
            ]
        )
    return _table(["point", "score", "published", "where", "here"], rows)


def _where(one: ReportedExpectation) -> str:
    """Say where a published result stands, how near it was read, and what of it."""
    where = f"{one.kind}, {one.source}"
    if one.reading_error:
        where += f", +- {one.reading_error:g}"
    return f"{where}; {one.note}" if one.note else where


def _claims(report: StudyReport) -> str:
    rows = [
        [
            claim.name,
            f"`{claim.says}`",
            told_verdict(claim),
            "; ".join(told_finding(one) for one in claim.findings),
            claim.why,
            claim.note,
        ]
        for claim in report.claims
    ]
    header = ["claim", "says", "verdict", "difference", "what is missing", "note"]
    return _table(header, rows)


def _entries(report: StudyReport) -> str:
    rows = [
        [
            one.name,
            f"`{one.entry[:DIGEST_CHARS]}`",
            f"`{(one.weights_digest or '-')[:DIGEST_CHARS]}`",
            str(one.num_steps),
            one.determinism,
            one.codemix,
        ]
        for one in report.entries
    ]
    header = ["experiment", "entry", "weights", "steps", "determinism", "codemix"]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )
