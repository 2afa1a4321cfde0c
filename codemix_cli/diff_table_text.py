"""What `codemix diff` found of more than two operands, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemix_cli.output import table

if TYPE_CHECKING:
    from ledger.compare import Compared, Comparison

DIGEST_CHARS = 64
SHOWN_DIGITS = 12
CELL_CHARS = 30
"""Of a cell."""


def told_table(found: Comparison) -> str:
    """A row for each thing that differs, a column for each operand."""
    labels = [found.first.label, *(one.operand.label for one in found.others)]
    rows = [["", *labels]]
    paths = sorted(
        {
            change.path
            for one in found.others
            for change in one.spec.changes
            if change.kind != "words"
        }
    )
    for path in paths:
        changes = [
            next((change for change in one.spec.changes if change.path == path), None)
            for one in found.others
        ]
        was = next(or_absent(change.was) for change in changes if change)
        row = [was if one is None else or_absent(one.now) for one in changes]
        rows.append([path, was, *row])
    names = dict.fromkeys(name for final in found.final.values() for name in final)
    for name in names:
        cells = [_final(found.final.get(label, {}).get(name)) for label in labels]
        rows.append([name, *cells])
    if any(one.results for one in found.others):
        rows.append(["parts at step", "-", *(_parts_at(one) for one in found.others)])
    same = "no differences that count\n" if found.is_same else ""
    return same + table([[row[0], *map(_clipped, row[1:])] for row in rows])


def or_absent(text: str | None) -> str:
    """Write a value of a spec."""
    return "absent" if text is None else text or '""'


def _clipped(cell: str) -> str:
    # The whole value is in --json and in the comparison of two.
    return cell if len(cell) <= CELL_CHARS else f"{cell[: CELL_CHARS - 3]}..."


def _final(text: str | None) -> str:
    if text is None:
        return "-"
    if len(text) == DIGEST_CHARS:
        return text[:SHOWN_DIGITS]
    try:
        return f"{float(text):.5g}" if "." in text or "e-" in text else text
    except ValueError:
        return text[:12]


def _parts_at(other: Compared) -> str:
    if other.results is None:
        return "-"
    parting = other.results.parting
    return "nowhere" if parting is None else f"{parting.step:,} ({parting.channel})"
