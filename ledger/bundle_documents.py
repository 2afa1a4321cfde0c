"""Which documents of a ledger an entry needs, and the proof of their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.store import FIRST_LINK, Ledger
from specs.errors import CheckFailed, Problem

_SUBJECTS = ("original", "subject")
"""Fields by which a document says what it is about."""


class Ordered(NamedTuple):
    """Documents in order of arrival."""

    digests: tuple[str, ...]
    order: bytes
    """The lines of the log from the first of them to the last, whole and chained."""


def documents_of(ledger: Ledger, digest: str) -> Ordered:
    """Find an entry, all that it was made from, and all that was said of these.

    A document that names another one needs it, whatever the field is called.

    Raises:
        CheckFailed: The log's chain breaks, or a document was changed.
        InputError: A document is missing.
    """
    logged = [line.digest for line in ledger.log()]
    kinds = {line.digest: line.kind for line in ledger.log()}
    needed = _closure(ledger, {digest}, set(logged))
    about: set[str] = set()
    for candidate in logged:
        # A run is about nothing, and what speaks of a document comes after it.
        if candidate in needed or kinds[candidate] == "run":
            continue
        document = _document(ledger, candidate)
        if {document.get(name) for name in _SUBJECTS} & (needed | about):
            about.add(candidate)
    needed = _closure(ledger, needed | about, set(logged))
    found = tuple(one for one in logged if one in needed)
    lines = ledger.log_path.read_bytes().split(b"\n")[:-1]
    span = lines[logged.index(found[0]) : logged.index(found[-1]) + 1]
    order = b"".join(line + b"\n" for line in span)
    problems = order_problems(order, found)
    if problems:
        raise CheckFailed(problems)
    return Ordered(found, order)


def order_problems(order: bytes, digests: tuple[str, ...]) -> list[Problem]:
    """Check a piece of a log: its chain, and that the documents come in this order."""
    lines = order.split(b"\n")
    problems = []
    if lines.pop() != b"":
        problems.append(Problem(what="the last line is cut off"))
    link = None
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if set(record) != {"entry", "kind", "name", "prev", "unix_ms"}:
            problems.append(Problem(what="is no line of a log", line=number))
        elif link is not None and record["prev"] != link:
            what = "the chain breaks: this line or the one before it was changed"
            problems.append(Problem(what=what, line=number))
        link = hashlib.sha256(line).hexdigest()
    wanted = set(digests)
    found = [record["entry"] for record in map(_record, lines) if "entry" in record]
    if not problems and tuple(one for one in found if one in wanted) != digests:
        problems.append(Problem(what="has not every document once, in its order"))
    return problems


def rechained(order: bytes, digests: tuple[str, ...]) -> bytes:
    """Make a log of these documents alone out of the lines of another one."""
    from specs.canonical import canonical_json

    wanted, link, made = set(digests), FIRST_LINK, b""
    for line in order.split(b"\n")[:-1]:
        record = _record(line)
        if record["entry"] in wanted:
            new = canonical_json({**record, "prev": link})
            link = hashlib.sha256(new).hexdigest()
            made += new + b"\n"
    return made


def log_lines(order: bytes) -> list[dict[str, Any]]:
    """Return the lines of a checked piece of a log."""
    return [_record(line) for line in order.split(b"\n")[:-1]]


def mentioned(value: Any, known: set[str]) -> Iterator[str]:
    """Find every digest of a known document inside a JSON value."""
    if isinstance(value, str):
        if value in known:
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from mentioned(one, known)
    elif isinstance(value, list):
        for one in value:
            yield from mentioned(one, known)


def _closure(ledger: Ledger, start: set[str], known: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            found.add(digest)
            waiting += mentioned(_document(ledger, digest), known)
    return found


def _document(ledger: Ledger, digest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ledger.read_bytes(digest))
    return document


def _record(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
