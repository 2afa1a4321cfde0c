"""A study's report as one page: no network, light and dark, phone, screen and paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from evals.study.curves import band_colours, token_bars, training_curve
from evals.study.figures import figures_of
from evals.study.page_style import STYLE
from evals.study.reported import ReportedCell, ReportedScore, StudyReport
from evals.study.tables import (
    DIGEST_CHARS,
    expected_of,
    told_cell,
    told_finding,
    told_number,
    told_relative,
    told_verdict,
)
from ledger.entry import Entry
from ledger.store import Ledger
from specs.study_loaded import Study


class Markup(str):
    """Text that is markup already."""


def report_page(report: StudyReport, study: Study, ledger: Ledger) -> str:
    """Write the page.

    Args:
        report: What it shows.
        study: For its figures.
        ledger: Holds the curves.
    """
    sections = [
        ("scores", "Scores", _scores(report)),
        ("claims", "Claims", _claims(report)),
        ("figures", "Figures", _figures(report, study)),
        ("training", "Training", _training(report, ledger)),
        ("entries", "Where the numbers come from", _entries(report)),
    ]
    shown = [one for one in sections if one[2]]
    links = " ".join(f'<a href="#{place}">{title}</a>' for place, title, _ in shown)
    body = "".join(
        f'<section id="{place}" aria-labelledby="{place}-title">'
        f'<h2 id="{place}-title">{title}</h2>{content}</section>'
        for place, title, content in shown
    )
    title = escape(report.name)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#main">To the report</a>'
        f"<header><h1>{title}</h1><p>{escape(report.description)}</p>"
        f"<p>{_summary(report)}</p>"
        f'<nav aria-label="Sections">{links}</nav></header>'
        f'<main id="main">{body}</main></body></html>\n'
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


def _scores(report: StudyReport) -> str:
    rows = []
    for point in report.points:
        name = escape(point.label)
        if point.is_baseline:
            name += ' <span class="soft">baseline</span>'
        row = [Markup(name), point.stage, f"{len(point.runs)} of {point.num_wanted}"]
        row += [
            _cell(report, report.cell(point.name, score.name), score)
            for score in report.scores
        ]
        rows.append(row)
    caption = (
        "Each score with its 95% interval. Small: the difference from the baseline, as "
        "a share of it, and what was published."
    )
    labels = [score.label for score in report.scores]
    return table(["point", "stage", "runs", *labels], rows, caption)


def _cell(report: StudyReport, cell: ReportedCell, score: ReportedScore) -> Markup:
    parts = []
    if cell.value is None:
        parts.append(f'<span class="soft" title="{escape(cell.why)}">-</span>')
    else:
        linked = f'<a href="#e-{cell.sources[0][:DIGEST_CHARS]}">'
        value, _, interval = told_cell(cell, score).partition(" ")
        parts.append(f"{linked}{value}</a>")
        if interval:
            parts.append(f'<span class="interval">{interval}</span>')
        if cell.relative is not None:
            parts.append(f"<small>{told_relative(cell)}</small>")
    for one in expected_of(report, cell.point, cell.score)[:1]:
        number = told_number(one.value, score)
        title = escape(f"{one.kind}, {one.source}")
        parts.append(f'<small class="ghost" title="{title}">{number} published</small>')
    return Markup(" ".join(parts))


def _claims(report: StudyReport) -> str:
    if not report.claims:
        return ""
    rows = []
    for claim in report.claims:
        verdict = f'<span class="{claim.outcome}">{told_verdict(claim)}</span>'
        links = " ".join(_link(one) for one in claim.entries)
        rows.append(
            [
                claim.name,
                Markup(f"<code>{escape(claim.says)}</code>"),
                claim.source or "",
                Markup(verdict),
                "; ".join(told_finding(one) for one in claim.findings),
                claim.why,
                Markup(links),
            ]
        )
    header = ["claim", "says", "made in", "verdict", "difference", "open", "entries"]
    caption = (
        "Supported or contradicted where the whole 95% interval is on one side; "
        "undecided where it is not; by these runs where nothing is known of seeds."
    )
    return table(header, rows, caption)


def _figures(report: StudyReport, study: Study) -> str:
    return "".join(
        f"<figure><figcaption><h3>{escape(one.title)}</h3>{escape(one.caption)}"
        f"</figcaption>{one.svg}</figure>"
        for one in figures_of(study, report)
    )


def _training(report: StudyReport, ledger: Ledger) -> str:
    if not report.entries:
        return ""
    sources = {source for one in report.entries for source in one.realised_tokens}
    colours = band_colours(sorted(sources))
    key = " ".join(
        f'<span class="key" style="background:{colour}"></span> {escape(source)}'
        for source, colour in colours.items()
    )
    tokens = {one.name: one.realised_tokens for one in report.entries}
    parts = [
        f"<p>Sources: {key}</p>",
        "<figure><figcaption><h3>Tokens by source</h3></figcaption>"
        f"{token_bars(tokens, colours)}</figure>",
    ]
    for one in report.entries:
        entry = ledger.read(one.entry)
        assert isinstance(entry, Entry)
        svg = training_curve(entry, ledger.objects, colours)
        if svg is not None:
            parts.append(
                f"<figure><figcaption><h3>{escape(one.name)}</h3>Loss, above the "
                f"mixture of each stage. {_link(one.entry)}</figcaption>{svg}</figure>"
            )
    return "".join(parts)


def _entries(report: StudyReport) -> str:
    known = {one.entry for one in report.entries}
    rows: list[Sequence[str]] = [
        [
            one.name,
            _anchor(one.entry),
            Markup(f"<code>{one.spec_digest[:DIGEST_CHARS]}</code>"),
            Markup(f"<code>{one.lock_digest[:DIGEST_CHARS]}</code>"),
            Markup(f"<code>{(one.weights_digest or '-')[:DIGEST_CHARS]}</code>"),
            f"{one.num_steps:,}",
            one.determinism,
            one.codemix,
        ]
        for one in report.entries
    ]
    later = {source for cell in report.cells for source in cell.sources} - known
    rows += [
        ["evaluation", _anchor(one), "", "", "", "", "", ""] for one in sorted(later)
    ]
    header = ["experiment", "entry", "spec", "lock", "weights", "steps"]
    caption = (
        "codemix ledger show ENTRY prints one, codemix reproduce ENTRY trains it again "
        "and compares every step."
    )
    return table([*header, "determinism", "codemix"], rows, caption)


def _anchor(digest: str) -> Markup:
    short = digest[:DIGEST_CHARS]
    return Markup(f'<code id="e-{short}" title="{digest}">{short}</code>')


def _link(digest: str) -> str:
    short = digest[:DIGEST_CHARS]
    return f'<a href="#e-{short}"><code>{short}</code></a>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Return a table as markup; the first cell of a row names it.

    The caption stands before it, where it does not scroll with wide columns.
    """
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in header)
    lines = "".join(f"<tr>{''.join(_row(row))}</tr>" for row in rows)
    # Reached by the keyboard, since it may have to be scrolled.
    label = f"{header[0]}s, {', '.join(header[1:])}"
    return (
        f'<p class="soft">{escape(caption)}</p>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _row(row: Sequence[str]) -> Iterator[str]:
    for index, one in enumerate(row):
        content = one if isinstance(one, Markup) else escape(one)
        yield (f"<td>{content}</td>" if index else f'<th scope="row">{content}</th>')
