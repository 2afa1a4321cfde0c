"""One entry of a ledger as a plain value, with what was said of it afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.curves import entry_curves
from ledger.entry import Entry
from ledger.labels import Labels, labels_of
from ledger.listing import rows_of
from ledger.rows import Row
from ledger.shown_evaluations import shown_evaluations
from ledger.store import Ledger


def show_entry(ledger: Ledger, text: str) -> dict[str, Any]:
    """Return an entry with its digest, its curves, and what was said of it.

    Args:
        ledger: Holds the entry.
        text: Beginning of its digest, its unique name, or `@` and its tag.
    """
    stored = ledger.find(text)
    entry = stored.entry
    rows = rows_of(ledger.folder)
    labels = labels_of(rows).get(stored.digest, Labels())
    return {
        "digest": stored.digest,
        "entry": entry.to_json(),
        "verdicts": [
            {"digest": row.digest, "grade": row.result}
            for row in rows
            if row.kind == "replay" and row.original == stored.digest
        ],
        "evaluations": (
            shown_evaluations(ledger, stored.digest, entry, rows)
            if isinstance(entry, Entry)
            else None
        ),
        "signatures": _signatures(ledger, stored.digest, rows),
        "tags": list(labels.tags),
        "notes": [note._asdict() for note in labels.notes],
        "curves": (
            entry_curves(entry, ledger.objects) if isinstance(entry, Entry) else None
        ),
    }


def _signatures(
    ledger: Ledger, digest: str, rows: Iterable[Row]
) -> list[dict[str, Any]]:
    among = {
        row.digest
        for row in rows
        if row.kind == "attestation" and row.original == digest
    }
    if not among:
        return []
    from ledger.keys import read_trusted
    from ledger.signing import signatures_of

    trusted = read_trusted(ledger.folder.parents[1])
    found = signatures_of(ledger, digest, trusted, among=among)
    return [one._asdict() for one in found]
