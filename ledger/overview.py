"""Answers about a whole ledger as plain values: list, show."""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.documents import Stored
from ledger.entry import Entry
from ledger.store import Ledger
from ledger.verdict import Verdict


class Row(NamedTuple):
    """One entry in one line."""

    digest: str
    kind: str
    name: str
    unix_ms: int
    """When it entered the ledger."""
    result: str
    """How the run ended, or the grade of the replay; empty of others."""
    num_steps: int
    weights_digest: str | None
    original: str | None
    """The entry that it is about; null of a run."""


def list_entries(ledger: Ledger) -> tuple[Row, ...]:
    """Return one row per entry, in order of arrival."""
    return tuple(
        _row(Stored(line.digest, ledger.read(line.digest)), line.unix_ms)
        for line in ledger.log()
    )


def show_entry(ledger: Ledger, text: str) -> dict[str, Any]:
    """Return an entry with its digest, and the verdicts on it.

    Args:
        ledger: Holds the entry.
        text: Beginning of its digest, or its unique name.
    """
    stored = ledger.find(text)
    verdicts = [
        {"digest": row.digest, "grade": row.result}
        for row in list_entries(ledger)
        if row.kind == "replay" and row.original == stored.digest
    ]
    return {
        "digest": stored.digest,
        "entry": stored.entry.to_json(),
        "verdicts": verdicts,
    }


def _row(stored: Stored, unix_ms: int) -> Row:
    digest, entry = stored
    if isinstance(entry, Entry):
        return Row(
            digest=digest,
            kind=entry.kind,
            name=entry.name,
            unix_ms=unix_ms,
            result=entry.outcome.status,
            num_steps=entry.num_steps,
            weights_digest=entry.weights_digest,
            original=None,
        )
    if isinstance(entry, Verdict):
        return Row(
            digest=digest,
            kind=entry.kind,
            name=entry.name,
            unix_ms=unix_ms,
            result=entry.grade,
            num_steps=entry.compared.steps.same,
            weights_digest=None,
            original=entry.original,
        )
    return Row(
        digest=digest,
        kind=entry.kind,
        name=entry.name,
        unix_ms=unix_ms,
        result="",
        num_steps=0,
        weights_digest=None,
        original=entry.subject,
    )
