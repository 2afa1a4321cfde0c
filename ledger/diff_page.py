"""A comparison as one page that needs no network, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ledger.diff_curves import COLOURS, curves_of, draw, stage_borders
from ledger.operands import Opened

if TYPE_CHECKING:
    from ledger.compare import Compared, Comparison
    from ledger.paired import Interval
    from ledger.result_diff import MetricDiff, ScoreDiff

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem;
  padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.number { white-space: nowrap; }
h1, h2 { overflow-wrap: anywhere; } th { font-weight: 600; } .wide { overflow-x: auto; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 50%; }
.kind { background: var(--soft); border-radius: .3em; padding: 0 .4em; }
figure { margin: 0; }
svg { width: 100%; height: auto; max-width: 44rem; display: block; }
@media print { body { max-width: none; } }
"""


def diff_page(
    found: Comparison, opened: Sequence[Opened], sections: Sequence[str] = ()
) -> str:
    """Write the page.

    Args:
        found: What was found.
        opened: The operands, the first one first.
        sections: Markup that comes after what was found, before the curves.
    """
    parts = [_legend(found)]
    parts += [_other(one) for one in found.others]
    parts += sections
    parts += _curves(opened)
    title = " / ".join(one.operand.label for one in opened)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>How runs differ</h1>{''.join(parts)}</main></body></html>\n"
    )


def _legend(found: Comparison) -> str:
    operands = [found.first, *(one.operand for one in found.others)]
    rows = []
    for index, one in enumerate(operands):
        key = _key(COLOURS[index % len(COLOURS)], one.label)
        rows.append([_Raw(key), one.name, one.kind])
    return page_table(["compared", "experiment", "what it is"], rows)


def _other(one: Compared) -> str:
    parts = [f"<h2>{escape(one.operand.label)} against the first</h2>"]
    if one.is_same:
        parts.append("<p>No differences that count.</p>")
    changes = [
        [
            change.path,
            _absent(change.was),
            _absent(change.now),
            _Raw(f'<span class="kind">{change.kind}</span>'),
        ]
        for change in one.spec.changes
    ]
    if changes:
        parts.append(page_table(["spec", "was", "now", "changes"], changes))
    results = one.results
    if results is None:
        return "".join(parts)
    parting = results.parting
    if parting is None:
        told = f"The same at every one of {results.num_equal_steps:,} steps."
    else:
        told = f"The same until step {parting.step:,}, where {_PARTED[parting.channel]}"
        told += f": {', '.join(parting.tensors)}." if parting.tensors else "."
    parts.append(f"<p>{escape(told)}</p>")
    rows = [
        _row(f"{metric.stage}: {metric.name}", metric) for metric in results.metrics
    ]
    rows += [
        _row(f"{score.stage}: {score.suite}/{score.name}", score)
        for score in results.scores
    ]
    if rows:
        parts.append(
            page_table(["at the end of", "was", "now", "now - was, 95%"], rows)
        )
    inputs = [
        [fact.path, _absent(fact.was), _absent(fact.now), fact.rank]
        for fact in results.differences
    ]
    if inputs:
        header = ["code, machine, data", "was", "now", "suspicion"]
        parts.append(
            "<details><summary>"
            f"What differs in code, machine and data: {len(inputs)}</summary>"
            f"{page_table(header, inputs)}</details>"
        )
    return "".join(parts)


_PARTED = {
    "batch": "the batch is another one",
    "weights": "the same batch gives other weights",
    "length": "one of the runs ends",
}


def _curves(opened: Sequence[Opened]) -> list[str]:
    borders = stage_borders(opened)
    return [
        f"<figure><figcaption><h2>{escape(name)}</h2>"
        f"{' &nbsp; '.join(_key(one.colour, one.label) for one in curves)}"
        f"</figcaption>{draw(name, curves, borders)}</figure>"
        for name, curves in sorted(curves_of(opened).items(), key=_loss_first)
    ]


def _key(colour: str, label: str) -> str:
    key = f'<span class="key" style="background:{colour}"></span>'
    return f"{key} {escape(label)}"


def _loss_first(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] != "loss", item[0]


class _Raw(str):
    """Markup that is one already."""


def page_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_kind(cell)}>{cell if isinstance(cell, _Raw) else escape(cell)}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _kind(cell: str) -> str:
    # A number that is broken over two lines reads as two.
    return ' class="number"' if cell[:1].isdigit() and len(cell) <= 14 else ""


def _row(name: str, one: MetricDiff | ScoreDiff) -> list[str]:
    # Six digits for people; the entries have all of them.
    numbers = [f"{float(text):.6g}" for text in (one.was, one.now)]
    return [name, *numbers, _interval(one.difference)]


def _absent(text: str | None) -> str:
    return "absent" if text is None else text


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:+.3g}"
    return f"{interval.mean:+.3g} ({interval.low:+.3g} to {interval.high:+.3g})"
