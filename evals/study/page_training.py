"""How the runs of a study were trained: tokens by source, loss and mixture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from evals.study.curves import band_fills, token_bars, training_curve
from evals.study.markup import Markup, figure, link, table
from evals.study.reported import ReportedEntry, StudyReport
from evals.study.tables import DIGEST_CHARS
from ledger.entry import Entry
from ledger.store import Ledger
from specs.study_loaded import Study


def training(report: StudyReport, study: Study, ledger: Ledger) -> Markup:
    """Return the figures and the table of what the runs were trained on.

    Args:
        report: Has the runs.
        study: For their labels.
        ledger: Holds the curves.
    """
    if not report.entries:
        return Markup()
    sources = sorted({name for one in report.entries for name in one.realised_tokens})
    fills = band_fills(sources)
    key = "".join(
        f'<li><span class="key" style="background:{fill.css}"></span> '
        f"{escape(source)}</li>"
        for source, fill in fills.items()
    )
    labels = _labels(report, study)
    entries = _in_order(report.entries, study)
    tokens = {labels[one.name]: one.realised_tokens for one in entries}
    rows = [
        [
            labels[one.name],
            *(f"{one.realised_tokens.get(source, 0):,}" for source in sources),
            f"{sum(one.realised_tokens.values()):,}",
            link(one.entry),
        ]
        for one in entries
    ]
    parts = [
        "<h3>Tokens by source</h3>",
        f'<ul class="keys" aria-label="Sources">{key}</ul>',
        figure(
            "tokens-figure",
            "Tokens of each source, by run",
            token_bars(tokens, fills),
        ),
        table(
            "tokens",
            ["Run", *sources, "All", "Entry"],
            rows,
            "Tokens that each run was trained on, taken-over stages included.",
            kind="numbers",
        ),
        "<h3>Loss and mixture</h3>",
        "<p>Below each curve the mixture of each stage: the higher a band, the larger "
        'its share, in the colours above.</p><div class="panels">',
    ]
    for one in entries:
        entry = ledger.read(one.entry)
        assert isinstance(entry, Entry)
        svg = training_curve(entry, ledger.objects, fills)
        if svg is not None:
            caption = Markup(f"{escape(labels[one.name])} {link(one.entry)}")
            parts.append(figure(f"loss-{one.entry[:DIGEST_CHARS]}", caption, svg))
    return Markup("".join([*parts, "</div>"]))


def _in_order(entries: Sequence[ReportedEntry], study: Study) -> list[ReportedEntry]:
    """Return entries in the order of the study's points; others come last."""
    names = [name for point in study.points.values() for name in point.experiments]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return sorted(entries, key=lambda one: places.get(one.name, len(names)))


def _labels(report: StudyReport, study: Study) -> dict[str, str]:
    """Return experiment -> what people call it.

    That is the label of the point at its end, with the seed if it is repeated; where
    there is no such point, or another has its label, its name.
    """
    found: dict[str, str] = {}
    points = study.points.values()
    last = {one.name: len(one.stages) - 1 for _, one in study.experiments}
    seeds = {run.name: run.seed for point in report.points for run in point.runs}
    for point in points:
        for name in point.experiments:
            if point.stage_index == last[name]:
                label = point.label
                if len(point.experiments) > 1 and name in seeds:
                    label += f", seed {seeds[name]}"
                found.setdefault(name, label)
    labels = list(found.values())
    return {
        one.name: found[one.name]
        if labels.count(found.get(one.name, "")) == 1
        else one.name
        for one in report.entries
    }
