"""Answers about a whole ledger as plain values: list, show, verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ledger.documents import Stored
from ledger.entry import Entry
from ledger.facts import ObjectRef
from ledger.objects import references
from ledger.store import Ledger
from ledger.verdict import Verdict
from specs.errors import CodemixError, Problem


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


class Checked(NamedTuple):
    """What a check of the ledger's bytes found."""

    num_entries: int
    num_objects: int
    problems: tuple[Problem, ...]


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


def verify(ledger: Ledger) -> Checked:
    """Check every byte: the log's chain, each entry, each object they refer to.

    Everything wrong is named; nothing is repaired.
    """
    problems = list(ledger.check_log())
    try:
        digests = [line.digest for line in ledger.log()]
    except CodemixError as error:
        return Checked(0, 0, (*problems, *error.problems))
    problems += _repeated(ledger, digests)
    problems += _not_logged(ledger, set(digests))
    objects = set()
    for digest in digests:
        try:
            document = ledger.read(digest).to_json()
        except CodemixError as error:
            problems += error.problems
            continue
        for ref in references(document):
            if ref not in objects:
                objects.add(ref)
                problems += _check_object(ledger, digest, ref)
    return Checked(len(digests), len(objects), tuple(problems))


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


def _repeated(ledger: Ledger, digests: list[str]) -> Iterator[Problem]:
    repeated = [digest for digest, count in Counter(digests).items() if count > 1]
    for digest in sorted(repeated):
        yield Problem(
            what=f"entry {digest[:12]} is in the log more than once",
            file=str(ledger.log_path),
        )


def _not_logged(ledger: Ledger, logged: set[str]) -> Iterator[Problem]:
    for path in sorted((ledger.folder / "entries").glob("*.json")):
        if path.stem not in logged:
            yield Problem(
                what="an entry that is not in the log: added or changed by hand",
                file=str(path),
            )


def _check_object(ledger: Ledger, digest: str, ref: ObjectRef) -> tuple[Problem, ...]:
    try:
        ledger.objects.get(ref)
    except CodemixError as error:
        return tuple(
            replace(problem, what=f"{problem.what} (entry {digest[:12]})")
            for problem in error.problems
        )
    return ()
