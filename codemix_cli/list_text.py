"""Entries of the ledger as a table: one row each, the columns that were asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from codemix_cli.output import table
from codemix_cli.wording import duration

if TYPE_CHECKING:
    from ledger.conditions import Cell
    from ledger.listing import Listed

HEADERS = {"digest": "entry", "recorded": "recorded (UTC)"}
CLIPPED_CHARS = 48


def told_list(entries: Sequence[Listed], columns: Sequence[str]) -> str:
    """Write a table of entries.

    Args:
        entries: At least one.
        columns: Their cells are shown; empty: the usual ones.
    """
    if columns:
        cells = [[_told(one.cells[name], name) for name in columns] for one in entries]
        header = [HEADERS.get(name, name) for name in columns]
    else:
        header, cells = _usual(entries)
    right = [
        place
        for place in range(len(header))
        if all(_is_numeric(row[place]) for row in cells)
    ]
    return table([header, *cells], right=right)


def listed_json(one: Listed) -> dict[str, Any]:
    """Return all that is known of a listed entry as plain JSON."""
    row = one.row._asdict()
    for name in ("add_tags", "remove_tags", "note"):
        row.pop(name)
    return {
        **row,
        "tags": list(one.labels.tags),
        "notes": [note._asdict() for note in one.labels.notes],
        "columns": {name: _json_cell(cell) for name, cell in one.cells.items()},
    }


def _json_cell(cell: Cell) -> Cell:
    # JSON has no NaN and no infinity: they are told as the entry tells them.
    is_told = not isinstance(cell, float) or math.isfinite(cell)
    return cell if is_told else repr(cell)


def _usual(entries: Sequence[Listed]) -> tuple[list[str], list[list[str]]]:
    """Lay out the columns that fit most questions; tags only where there are some."""
    has_tags = any(one.labels.tags for one in entries)
    header = ["entry", "recorded (UTC)", "kind", "name", "result", "steps", "of"]
    cells = [
        [
            one.row.digest[:12],
            _date(one.row.unix_ms),
            one.row.kind,
            one.row.name,
            one.row.result or _clipped(" ".join(one.row.tasks)),
            f"{one.row.num_steps:,}",
            (one.row.original or one.row.weights_digest or "-")[:12],
            *([" ".join(one.labels.tags)] if has_tags else []),
        ]
        for one in entries
    ]
    return header + ["tags"] * has_tags, cells


def _told(cell: Cell, column: str) -> str:
    if cell is None:
        return "-"
    if column in _SHOWN:
        return _SHOWN[column](cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        # For people; the entry has every digit.
        return f"{cell:.6g}"
    return _clipped(str(cell))


def _clipped(text: str) -> str:
    return text if len(text) <= CLIPPED_CHARS else f"{text[:CLIPPED_CHARS]}..."


def _short(cell: Cell) -> str:
    return str(cell)[:12]


def _date(cell: Cell) -> str:
    assert isinstance(cell, int)
    return f"{datetime.fromtimestamp(cell / 1000, UTC):%Y-%m-%d %H:%M}"


def _count(cell: Cell) -> str:
    return f"{cell:,}"


def _duration(cell: Cell) -> str:
    assert isinstance(cell, float)
    return duration(cell)


_SHOWN: dict[str, Callable[[Cell], str]] = {
    "digest": _short,
    "weights": _short,
    "of": _short,
    "identity": _short,
    "recorded": _date,
    "steps": _count,
    "seconds": _duration,
}


def _is_numeric(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "").isdigit()
