"""A study's report as one page: no network, light and dark, phone, screen and paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from evals.study.differences import all_differences, pickable
from evals.study.evidence import Evidence
from evals.study.figures import figures_of
from evals.study.markup import Markup, anchor, figure, link, number, table
from evals.study.page_scores import differences_table, picking_style, scores_table
from evals.study.page_style import STYLE
from evals.study.page_training import training
from evals.study.reported import Show, StudyReport, show_nobody
from evals.study.sums import Summing
from evals.study.tables import DIGEST_CHARS, told_finding, told_verdict
from ledger.evaluation import Evaluation
from ledger.store import Ledger
from specs.study_loaded import Study

# Nothing is loaded and nothing runs, and the browser holds the page to it. Without an
# icon of its own it would ask a server for one.
HEAD = (
    '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
)


def report_page(
    report: StudyReport, evidence: Evidence, ledger: Ledger, show: Show = show_nobody
) -> str:
    """Write the page.

    Args:
        report: What it shows.
        evidence: That it was made of.
        ledger: Holds the curves.
        show: Told how far it is.
    """
    baselines = pickable(report)
    style = STYLE
    differences = Markup()
    if report.num_known and len(report.points) > 1:
        found = all_differences(report, baselines, Summing(evidence), show)
        differences = differences_table(report, baselines, found)
        style += picking_style(len(baselines))
    sections = [
        ("scores", "Scores", scores_table(report)),
        ("differences", "Differences", differences),
        ("claims", "Claims", _claims(report)),
        ("figures", "Figures", _figures(report, evidence.study)),
        ("training", "Training", training(report, evidence.study, ledger)),
    ]
    shown = [one for one in sections if one[2]]
    sources = ("entries", "Where the numbers come from", _entries(report, ledger))
    links = "".join(
        f'<li><a href="#{place}">{title}</a></li>'
        for place, title, _ in (*shown, sources)
    )
    title = escape(report.name)
    body = "".join(_section(*one) for one in shown)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{HEAD}'
        f"<title>{title}</title><style>{style}</style></head><body>"
        '<a class="skip" href="#main">To the report</a>'
        f"<header><h1>{title}</h1><p>{escape(report.description)}</p>"
        f"<p>{_summary(report)}</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f'<main id="main" tabindex="-1">{body}</main>'
        f"<footer>{_section(*sources)}</footer></body></html>\n"
    )


def _section(place: str, title: str, content: str) -> str:
    return (
        f'<section id="{place}" aria-labelledby="{place}-title">'
        f'<h2 id="{place}-title">{title}</h2>{content}</section>'
    )


def _summary(report: StudyReport) -> str:
    runs = sum(len(point.runs) > 0 for point in report.points)
    outcomes = [claim.outcome for claim in report.claims]
    counts = ", ".join(
        f"{outcomes.count(one)} {one}"
        for one in ("supported", "contradicted", "undecided", "unknown")
        if one in outcomes
    )
    text = f"{runs} of {len(report.points)} points have scores."
    return f"{text} Claims: {counts}." if counts else text


def _claims(report: StudyReport) -> str:
    if not report.claims:
        return ""
    rows = []
    for claim in report.claims:
        where = f"<small>{escape(claim.source)}</small>" if claim.source else ""
        note = f"<small>{escape(claim.note)}</small>" if claim.note else ""
        entries = " ".join(link(one) for one in claim.entries)
        if len(claim.entries) > 1:
            summary = f"<summary>{len(claim.entries)} entries</summary>"
            entries = f"<details>{summary}{entries}</details>"
        rows.append(
            [
                Markup(f"{escape(claim.name)}{where}"),
                Markup(f"<code>{escape(claim.says)}</code>{note}"),
                Markup(f'<span class="{claim.outcome}">{told_verdict(claim)}</span>'),
                Markup(
                    number("<br>".join(told_finding(one) for one in claim.findings))
                ),
                claim.why,
                Markup(entries),
            ]
        )
    header = ["Claim", "Says", "Verdict", "Difference", "Open", "Entries"]
    caption = (
        "Supported where the interval of every part is on the claim's side, "
        "contradicted where that of any is on the other, undecided otherwise; by these "
        "runs where nothing is known of seeds. Intervals are of 95%: of 90% where =~ "
        "is supported, and wider where one of several comparisons contradicts."
    )
    return table("claims", header, rows, caption, kind="stack")


def _figures(report: StudyReport, study: Study) -> str:
    parts = []
    drawn = enumerate(figures_of(study, report), start=1)
    for (title, note), panels in groupby(drawn, lambda one: one[1][:2]):
        figures = "".join(
            figure(f"figure-{index}", one.caption, one.svg) for index, one in panels
        )
        parts.append(
            f'<h3>{escape(title)}</h3><p class="soft">{escape(note)}</p>'
            f'<div class="panels">{figures}</div>'
        )
    return "".join(parts)


def _entries(report: StudyReport, ledger: Ledger) -> str:
    known = {one.entry for one in report.entries}
    rows: list[Sequence[str]] = [
        [
            one.name,
            anchor(one.entry),
            "run",
            _digest(one.spec_digest),
            _digest(one.lock_digest),
            _digest(one.weights_digest),
            f"{one.num_steps:,}",
            one.determinism,
            one.codemix,
        ]
        for one in report.entries
    ]
    later = {source for cell in report.cells for source in cell.sources} - known
    for digest in sorted(later):
        found = ledger.read(digest)
        assert isinstance(found, Evaluation)
        rows.append(
            [
                found.name,
                anchor(digest),
                "evaluation",
                "",
                "",
                _digest(found.weights_digest),
                f"{found.step:,}",
                "",
                found.code.codemix,
            ]
        )
    header = ["Experiment", "Entry", "Kind", "Spec", "Lock", "Weights", "Steps"]
    caption = (
        "codemix ledger show ENTRY prints one, codemix reproduce ENTRY trains it again "
        "and compares every step. Digests are cut; pointing at one shows all of it."
    )
    return table("entries", [*header, "Determinism", "codemix"], rows, caption)


def _digest(digest: str | None) -> Markup:
    if digest is None:
        return Markup("-")
    return Markup(f'<code title="{digest}">{digest[:DIGEST_CHARS]}</code>')
