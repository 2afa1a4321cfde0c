"""The log of a ledger: which document came when. Read without knowing any document.

What needs names and digests alone (`codemix ledger list`, completing what is typed)
must be quick, so nothing here loads the types of documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from specs.errors import CheckFailed


class LogLine(NamedTuple):
    """One arrival."""

    digest: str
    kind: str
    name: str
    unix_ms: int


def log_path(folder: Path) -> Path:
    """Where the log of the ledger in a folder is kept."""
    return folder / "log.jsonl"


def read_log(folder: Path) -> bytes:
    """Read the whole lines of the log; of a ledger that is not there, none."""
    try:
        data = log_path(folder).read_bytes()
    except FileNotFoundError:
        return b""
    # After the last newline there is nothing, or what a killed writer left.
    return data[: data.rfind(b"\n") + 1]


def read_raw_lines(folder: Path) -> list[bytes]:
    """Read the whole lines of the log, apart."""
    return read_log(folder).split(b"\n")[:-1]


def parse_lines(raws: Sequence[bytes], folder: Path) -> tuple[LogLine, ...]:
    """Read lines of the log; their chain is not looked at.

    Raises:
        CheckFailed: A line is not one that we wrote.
    """
    # One array costs a third of many objects.
    values = _json_values(b"[%b]" % b",".join(raws))
    if len(values) != len(raws):
        values = [json_object(raw) for raw in raws]
    return tuple(
        _line_of(value, folder, number) for number, value in enumerate(values, start=1)
    )


def entries_on_disk(folder: Path) -> set[str]:
    """Return the digests that files of entries are named by, logged or not."""
    try:
        names = os.listdir(folder / "entries")
    except FileNotFoundError:
        return set()
    return {name.removesuffix(".json") for name in names if name.endswith(".json")}


def json_object(raw: bytes) -> dict[str, Any]:
    """Read one line as JSON; what is no object is an empty one."""
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _json_values(data: bytes) -> list[Any]:
    try:
        values: list[Any] = json.loads(data)
    except ValueError:
        return []
    return values


def _line_of(value: Any, folder: Path, number: int) -> LogLine:
    try:
        return LogLine(value["entry"], value["kind"], value["name"], value["unix_ms"])
    except (KeyError, TypeError):
        raise CheckFailed(
            "the log was changed: this line is not one of codemix",
            file=str(log_path(folder)),
            line=number,
            fix="restore the file from a copy of the ledger",
        ) from None
