"""One document of the ledger in one row: what lists, filters and columns need.

Built from a document's JSON without its types, so that documents of other versions have
a row too, and nothing heavy is loaded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from ledger.log import LogLine

UNREADABLE = frozenset({"missing", "changed", "unknown"})
"""Results of documents that are not there, have other bytes, or other fields."""

_TAIL_BYTES = 1 << 16


class Row(NamedTuple):
    """One document in one line."""

    digest: str
    kind: str
    name: str
    unix_ms: int
    """When it entered the ledger."""
    result: str
    """How the run ended, or the grade of the replay; one of `UNREADABLE`; empty of
    others."""
    num_steps: int
    weights_digest: str | None
    """Of the last stage of a run; of what was evaluated."""
    original: str | None
    """The entry that it is about; null of a run, and of an evaluation of weights that
    no entry has."""
    identity: str | None
    spec_digest: str | None
    seed: int | None
    seconds: str | None
    """Recorded, without pauses; text of a float."""
    metrics: dict[str, str]
    """Name -> number as text, of the last step that was logged."""
    scores: dict[str, str]
    """`suite/name` -> number as text, the last of each."""
    tasks: dict[str, str]
    """Of an evaluation: task -> fingerprint; empty of others."""
    add_tags: list[str]
    remove_tags: list[str]
    note: str


class Read(NamedTuple):
    """A row, and the resolved spec that belongs to it."""

    row: Row
    spec: dict[str, Any] | None
    """Of a run; null of others."""


def read_row(folder: Path, line: LogLine) -> Read:
    """Read one document and return its row; one that can't be read has one too.

    Args:
        folder: Of the ledger.
        line: Of the log.
    """
    try:
        data = (folder / "entries" / f"{line.digest}.json").read_bytes()
    except OSError:
        return _unreadable(line, "missing")
    if hashlib.sha256(data).hexdigest() != line.digest:
        return _unreadable(line, "changed")
    try:
        document = json.loads(data)
        if document["schema"] != 1:
            return _unreadable(line, "unknown")
        return Read(_row(folder, line, document), document.get("spec"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _unreadable(line, "unknown")


def _row(folder: Path, line: LogLine, document: dict[str, Any]) -> Row:
    kind = document["kind"]
    if kind == "run":
        return _run_row(folder, line, document)
    row = _empty(line, "")
    if kind == "replay":
        return row._replace(
            result=document["grade"],
            num_steps=document["compared"]["steps"]["same"],
            original=document["original"],
            seconds=document["times"]["recorded_seconds"],
        )
    if kind == "evaluation":
        return row._replace(
            num_steps=document["step"],
            weights_digest=document["weights_digest"],
            original=document["subject"],
            scores=_last_scores(document["scores"]),
            tasks={task["name"]: task["fingerprint"] for task in document["tasks"]},
        )
    return row._replace(
        original=document["subject"],
        add_tags=list(document.get("add_tags", ())),
        remove_tags=list(document.get("remove_tags", ())),
        note=document.get("note", ""),
    )


def _run_row(folder: Path, line: LogLine, document: dict[str, Any]) -> Row:
    stages = document["stages"]
    return _empty(line, document["outcome"]["status"])._replace(
        num_steps=stages[-1]["stop_step"] if stages else 0,
        weights_digest=stages[-1]["weights_digest"] if stages else None,
        identity=document["identity"],
        spec_digest=document["spec_digest"],
        seed=document["spec"].get("seed"),
        seconds=document["times"]["recorded_seconds"],
        metrics=_last_metrics(folder, stages),
        scores=_last_scores(document["scores"]),
    )


def _last_scores(scores: list[dict[str, Any]]) -> dict[str, str]:
    return {
        f"{one['suite']}/{name}": value
        for one in sorted(scores, key=lambda one: int(one["step"]))
        for name, value in one["values"].items()
    }


def _last_metrics(folder: Path, stages: list[dict[str, Any]]) -> dict[str, str]:
    """Read the last point of the last series that has one, from its file's end."""
    for stage in reversed(stages):
        name = stage["metrics"]["sha256"]
        try:
            with (folder / "objects" / name[:2] / name).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                last = file.read().splitlines()[-1]
        except (OSError, IndexError):
            continue
        # A series without points has its header alone.
        if last.startswith(b"["):
            values: dict[str, str] = json.loads(last)[1]
            return values
    return {}


def _unreadable(line: LogLine, result: str) -> Read:
    return Read(_empty(line, result), None)


def _empty(line: LogLine, result: str) -> Row:
    return Row(
        *line,
        result=result,
        num_steps=0,
        weights_digest=None,
        original=None,
        identity=None,
        spec_digest=None,
        seed=None,
        seconds=None,
        metrics={},
        scores={},
        tasks={},
        add_tags=[],
        remove_tags=[],
        note="",
    )
