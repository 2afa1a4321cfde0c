"""One entry of a ledger as a plain value, with what was said of it afterwards."""

from __future__ import annotations

from typing import Any

from ledger.labels import Labels, labels_of
from ledger.listing import rows_of
from ledger.store import Ledger


def show_entry(ledger: Ledger, text: str) -> dict[str, Any]:
    """Return an entry with its digest, the verdicts on it, its tags and notes.

    Args:
        ledger: Holds the entry.
        text: Beginning of its digest, its unique name, or `@` and its tag.
    """
    stored = ledger.find(text)
    rows = rows_of(ledger.folder)
    labels = labels_of(rows).get(stored.digest, Labels())
    return {
        "digest": stored.digest,
        "entry": stored.entry.to_json(),
        "verdicts": [
            {"digest": row.digest, "grade": row.result}
            for row in rows
            if row.kind == "replay" and row.original == stored.digest
        ],
        "tags": list(labels.tags),
        "notes": [note._asdict() for note in labels.notes],
    }
