"""Checking the log: each line is one of ours, there once, and follows the others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from ledger.finding import Finding
from ledger.log import LogLine
from ledger.store import FIRST_LINK, Ledger
from specs.canonical import canonical_json

_FIELDS = {"entry": str, "kind": str, "name": str, "prev": str, "unix_ms": int}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_log(
    ledger: Ledger, lines: Sequence[bytes]
) -> tuple[list[tuple[int, LogLine]], list[Finding]]:
    """Read every line and check the chain.

    Args:
        ledger: Whose log it is.
        lines: Of the log, as they are stored.

    Returns:
        The lines that can be read, with their numbers from 1, and what is wrong.
    """
    findings: list[Finding] = []
    read: list[tuple[int, LogLine]] = []
    first_seen: dict[str, int] = {}
    link = FIRST_LINK

    def found(number: int, what: str) -> None:
        file = str(ledger.log_path)
        findings.append(Finding(kind="log", what=what, file=file, line=number))

    for number, raw in enumerate(lines, start=1):
        line = _fields(raw)
        if line is None:
            found(number, "the line was changed: it is not one that codemix writes")
        elif line["prev"] != link:
            found(number, _broken(number))
        link = hashlib.sha256(raw).hexdigest()
        if line is None:
            continue
        digest = line["entry"]
        if digest in first_seen:
            what = f"entry {digest[:12]} is in the log already, in line "
            found(number, f"{what}{first_seen[digest]}")
            continue
        first_seen[digest] = number
        read.append(
            (number, LogLine(digest, line["kind"], line["name"], line["unix_ms"]))
        )
    return read, findings


def _broken(number: int) -> str:
    if number == 1:
        return "the chain does not begin here: lines before it were dropped or moved"
    return (
        f"the chain breaks: this line does not follow line {number - 1}; one of the "
        "two was changed, or lines were dropped, moved or added"
    )


def _fields(raw: bytes) -> dict[str, Any] | None:
    """Read a line; null unless it is to the byte what we write."""
    try:
        line = json.loads(raw)
        is_ours = isinstance(line, dict) and canonical_json(line) == raw
    except (ValueError, RecursionError):
        return None
    if not is_ours or {name: type(value) for name, value in line.items()} != _FIELDS:
        return None
    return line if _DIGEST.fullmatch(line["entry"]) else None
