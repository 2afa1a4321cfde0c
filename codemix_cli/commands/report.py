"""`codemix report`: what a study found, as a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result, note, table
from codemix_cli.progress import Meter, open_meter
from codemix_cli.reading import complete_entry

if TYPE_CHECKING:
    from evals.study.reported import ReportedScore, Show, StudyReport

SILENT_SECONDS = 2.0
"""Nobody who waits for less has to be told how far it is."""


@click.command(cls=Command, example="codemix report specs/mini -o report.html")
@click.argument(
    "operands",
    nargs=-1,
    required=True,
    metavar="STUDY | ENTRY...",
    shell_complete=complete_entry,
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to: .html, .md, .csv, .json or .pdf.",
)
@click.option(
    "--baseline", metavar="POINT", help="What others are compared with, by its name."
)
def command(
    operands: tuple[str, ...], output: Path | None, baseline: str | None
) -> Result:
    """Show what a study found, with intervals, claims and sources.

    Takes the folder of a study, or entries of the ledger. The scores of its points come
    from the ledger, each with the digest of the entry that it stands in; published
    results stand beside them. Claims are judged by the intervals: supported,
    contradicted, or undecided. The page needs no network.
    """
    from evals.study.writing import report

    with open_meter() as meter:
        found = report(operands, output=output, baseline=baseline, show=_late(meter))
    if output is not None:
        note(f"wrote {output}")
    named = f"codemix report {' '.join(operands)}"
    return Result(
        data=found.to_json(),
        text=_told(found),
        next_command=None if output is not None else f"{named} -o report.html",
    )


def _late(meter: Meter) -> Show:
    """Show how far it is once one has begun to wait: most reports take a second."""
    begun = time.monotonic()

    def show(task: str, done: int, total: int) -> None:
        if time.monotonic() - begun > SILENT_SECONDS:
            meter.show(task, done, total)

    return show


def _told(report: StudyReport) -> str:
    from evals.study.tables import told_stopped, told_verdict

    rows = [["point", "stage", "runs", *(score.label for score in report.scores)]]
    rows += [
        [
            point.label,
            point.stage,
            f"{len(point.runs)} of {point.num_wanted}",
            *(_told_cell(report, point.name, score) for score in report.scores),
        ]
        for point in report.points
    ]
    parts = ["\n".join([table(rows), *told_stopped(report)])]
    if report.expected:
        parts.append("in parentheses: what was published")
    if report.claims:
        claims = [["claim", "verdict", "says", "open"]]
        claims += [
            [claim.name, told_verdict(claim), claim.says, claim.why]
            for claim in report.claims
        ]
        parts.append(table(claims))
    return "\n\n".join(parts)


def _told_cell(report: StudyReport, point: str, score: ReportedScore) -> str:
    """Tell a score, with what was published of it in parentheses."""
    from evals.study.tables import expected_of, told_cell, told_number

    told = told_cell(report.cell(point, score.name), score)
    published = expected_of(report, point, score.name)
    if not published:
        return told
    return f"{told} ({told_number(published[0].value, score)})"
