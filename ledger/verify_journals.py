"""Checking the journals: every line is whole, and each entry is what its journal says.

An entry is built once more from the lines before the one that names it, by the code
that built it, and compared field by field.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.build_entry import build_entry, finish_event
from ledger.entry import Entry
from ledger.facts import ObjectRef
from ledger.finding import Finding, Listen
from ledger.history import History
from ledger.journal import decode_line, is_being_written, read_journal
from ledger.store import Ledger
from ledger.verify_entries import Known
from ledger.verify_objects import ref_of
from specs.errors import CodemixError


@dataclass
class Journals:
    """What a check of the journals found."""

    count: int
    findings: list[Finding]
    notes: list[str]


class _KeepsNothing:
    def put(self, data: bytes) -> ObjectRef:
        return ref_of(data)


class _Rebuilding:
    """Builds entries without writing anything."""

    def __init__(self) -> None:
        self.objects = _KeepsNothing()


def check_journals(
    runs: Path, ledger: Ledger, known: Mapping[str, Known], listen: Listen
) -> Journals:
    """Check every journal that is still there; a run's folder may be deleted.

    Args:
        runs: Folder of the folders of runs.
        ledger: Holds their entries.
        known: Digest -> what is known of each whole document.
        listen: Told how far it is.
    """
    of_recording: dict[str, list[str]] = defaultdict(list)
    for digest, one in known.items():
        if one.entry is not None:
            of_recording[one.entry.recording].append(digest)
    found = Journals(0, [], [])
    paths = sorted(runs.glob("*/journal.jsonl"))
    for path in paths:
        listen("journals", found.count, len(paths))
        found.count += 1
        _check_journal(found, path, ledger, of_recording)
    return found


def _check_journal(
    found: Journals, path: Path, ledger: Ledger, of_recording: Mapping[str, list[str]]
) -> None:
    # Asked before reading: what is written in between is then no torn line.
    is_live = is_being_written(path)
    if not _is_whole(found, path, is_live=is_live):
        return
    try:
        named, recording = _rebuild(found, path, ledger)
    # Lines whose checksums are right but that codemix never wrote may do anything to
    # the code that reads them; whatever it is, they are not what was recorded.
    except Exception as error:  # noqa: BLE001
        reason = str(error).partition("\n")[0] or type(error).__name__
        what = f"the lines make no run of codemix: {reason}"
        found.findings.append(_finding(path, what))
        return
    if not recording and not is_live:
        found.notes.append(f"{path}: is empty: it proves nothing of any entry")
    unnamed = [
        digest for digest in of_recording.get(recording, ()) if digest not in named
    ]
    for digest in unnamed if not is_live else ():
        what = f"no line says that entry {digest[:12]} came of this journal: one was "
        what += "removed, or the process died that was about to write it"
        found.findings.append(_finding(path, what))


def _is_whole(found: Journals, path: Path, *, is_live: bool) -> bool:
    """Compare every line with its checksum; whether all are right."""
    is_whole = True
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if _event(raw) is not None:
                continue
            if raw.endswith(b"\n"):
                is_whole = False
                what = "the line was changed: its checksum is not that of its bytes"
                found.findings.append(_finding(path, what, line=number))
            elif not is_live:
                note = f"{path}: ends in half a line, which a killed process left"
                found.notes.append(note)
    return is_whole


def _event(raw: bytes) -> dict[str, Any] | None:
    try:
        return decode_line(raw)
    except (ValueError, RecursionError):
        return None


def _rebuild(found: Journals, path: Path, ledger: Ledger) -> tuple[set[str], str]:
    """Build every entry that a journal names; return their digests, and its name."""
    history = History()
    named: set[str] = set()
    for number, line in enumerate(read_journal(path), start=1):
        if line.event["kind"] == "finish":
            digest = line.event["entry"]
            named.add(digest)
            for what in _finish_problems(history, path, line.event, ledger):
                found.findings.append(_finding(path, what, line=number))
        history.apply(line)
    return named, str(history.begins[0]["recording"]) if history.begins else ""


def _finish_problems(
    history: History, path: Path, finish: Mapping[str, Any], ledger: Ledger
) -> Iterator[str]:
    digest = finish["entry"]
    try:
        entry = ledger.read(digest)
    except CodemixError:
        yield f"it names entry {digest[:12]}, which the ledger does not hold whole"
        return
    if not isinstance(entry, Entry):
        yield f"it names entry {digest[:12]}, which is no run"
        return
    ended_ms = entry.times.ended_unix_ms
    if entry.journal is not None and finish != finish_event(
        entry.outcome, digest, ended_ms
    ):
        yield f"the line is not the one that was written for entry {digest[:12]}"
    rebuilt = build_entry(history, path, _Rebuilding(), entry.outcome, ended_ms)
    was, now = _facts(entry), _facts(rebuilt)
    if entry.journal is None:
        now["journal"] = None
    differing = [name for name in was if was[name] != now[name]]
    if differing:
        fields = ", ".join(
            _place(name, was[name], now[name])
            for name in differing
            if name != "journal"
        )
        yield (
            f"the lines before are not those that entry {digest[:12]} was made of: "
            + (f"its {fields} would be another" if fields else "their bytes differ")
        )


def _facts(entry: Entry) -> dict[str, Any]:
    """Return an entry without what each codemix may word in its own way."""
    facts = entry.to_json()
    for seam in facts["seams"]:
        del seam["differences"]
    return facts


def _place(name: str, was: Any, now: Any) -> str:
    """Name the first place inside a field at which two values differ."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = [(str(index), was[index], now[index]) for index in range(len(was))]
    elif isinstance(was, dict) and isinstance(now, dict) and set(was) == set(now):
        pairs = [(key, was[key], now[key]) for key in was]
    else:
        return name
    for key, left, right in pairs:
        if left != right:
            return _place(f"{name}.{key}", left, right)
    return name


def _finding(path: Path, what: str, *, line: int | None = None) -> Finding:
    fix = "restore it from a copy; the entry itself is not touched by this"
    return Finding(kind="journal", what=what, file=str(path), line=line, fix=fix)
