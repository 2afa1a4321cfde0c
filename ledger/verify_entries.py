"""Checking the entries: each is what its name says, is in the log, and can be read.

An entry is read once and parsed once. What the other checks need of it is kept in a few
fields: ten thousand whole entries would not fit in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ledger.attestation import Attestation
from ledger.documents import AnyEntry, document_of, parse_document, subject_of
from ledger.entry import Entry, StageFacts
from ledger.evaluation import Evaluation
from ledger.facts import ObjectRef
from ledger.finding import Finding, Listen
from ledger.log import LogLine
from ledger.objects import ObjectStore, references
from ledger.store import Ledger
from ledger.verdict import Verdict
from ledger.verify_evaluations import (
    Claim,
    claim_of,
    evaluation_problems,
    weights_problem,
)
from specs.errors import CodemixError

RESTORE = "restore it from a copy of the ledger, or from MLflow's artifacts"


_WITHOUT_OBJECTS = {"environment", "spec", "devices", "differences"}


class Want(NamedTuple):
    """What an entry says of one object."""

    entry: str
    """Digest of the entry."""
    ref: ObjectRef
    role: str
    """`trace`, `metrics`, `timings`, `words`, `plan`, `lock`, `tensors`, `results`;
    empty: any bytes."""
    stage: StageFacts | None = None
    """Of a trace or a series."""
    claim: Claim | None = None
    """Of the results of a score."""


@dataclass
class Known:
    """What the other checks need of one document."""

    kind: str
    name: str
    line: int
    """In the log."""
    subject: str | None
    entry: Entry | None
    """Without code and environment, of a run."""
    verdict_heads: tuple[str, ...] | None = None
    """Trace heads of a replay that was found to be exact."""
    attestation: Attestation | None = None
    evaluation: Evaluation | None = None
    """Without code and environment."""


@dataclass
class Entries:
    """All documents that could be read, and what they say of objects."""

    known: dict[str, Known] = field(default_factory=dict)
    wants: list[Want] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def num_signatures(self) -> int:
        """Documents that are signatures."""
        return sum(one.attestation is not None for one in self.known.values())


def list_files(folder: Path) -> list[str]:
    """Name everything in a folder but what a killed writer left."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not is_left_over(path.name))


def is_left_over(name: str) -> bool:
    """Whether a file is what a killed process had not finished writing."""
    return name.startswith(".") and name.endswith(".tmp")


def check_entries(
    ledger: Ledger,
    names: Iterable[str],
    log: list[tuple[int, LogLine]],
    listen: Listen,
) -> Entries:
    """Read every entry that is in the log or in the folder, and check what it says.

    Args:
        ledger: Holds them.
        names: Of the files in the folder of entries.
        log: Lines of the log with their numbers.
        listen: Told how far it is.
    """
    found = Entries()
    lines = {line.digest: (number, line) for number, line in log}
    logged = {ledger.entry_path(digest).name for digest in lines}
    strays = [name for name in names if name not in logged]
    for name in strays:
        _stray(found, ledger.folder / "entries" / name)
    reader = _Reader()
    for done, (number, line) in enumerate(lines.values()):
        listen("entries", done, len(lines))
        _read(found, reader, ledger, number, line)
    _check_subjects(found, ledger)
    return found


def _stray(found: Entries, path: Path) -> None:
    what = "this file does not belong here: added by hand"
    fix: str | None = "move it away"
    if path.suffix == ".json" and len(path.stem) == 64:
        what = "an entry that is not in the log: added or renamed by hand, or its line "
        what += "was dropped, or the process died that was about to write it"
        fix = "if it was a run that died, 'codemix ledger list' writes the line"
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != path.stem:
            what, fix = "its bytes are not its name, and it is not in the log", None
    found.findings.append(Finding(kind="entry", what=what, file=str(path), fix=fix))


class _Reader:
    """Reads documents; an environment that is the one before's is not read again."""

    def __init__(self) -> None:
        self._environment: object = None
        self._read: object = None

    def document_of(self, document: dict[str, Any], file: str) -> AnyEntry:
        """Read a document; see `ledger.documents.document_of`."""
        environment = document.get("environment")
        if environment is None or environment != self._environment:
            entry = document_of(document, file)
            self._environment = environment
            self._read = getattr(entry, "environment", None)
            return entry
        return document_of({**document, "environment": self._read}, file)


def _read(
    found: Entries, reader: _Reader, ledger: Ledger, number: int, line: LogLine
) -> None:
    path = ledger.entry_path(line.digest)

    def wrong(what: str, fix: str | None = None) -> None:
        where = str(path)
        found.findings.append(Finding(kind="entry", what=what, file=where, fix=fix))

    short = line.digest[:12]
    try:
        data = path.read_bytes()
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        why = "is missing" if is_missing else f"can't be read: {error.strerror}"
        wrong(f"entry {short} {why}", RESTORE)
        return
    if hashlib.sha256(data).hexdigest() != line.digest:
        wrong(f"entry {short} was changed: its bytes are not its name", RESTORE)
        return
    try:
        document = parse_document(data, str(path))
        entry = reader.document_of(document, str(path))
    except CodemixError as error:
        for problem in error.problems:
            wrong(problem.what, problem.fix)
        return
    if (entry.kind, entry.name) != (line.kind, line.name):
        what = f"the line says {line.kind} {line.name!r}, entry {short} is "
        what += f"{entry.kind} {entry.name!r}"
        where = str(ledger.log_path)
        found.findings.append(Finding(kind="log", what=what, file=where, line=number))
    found.known[line.digest] = _known(entry, number)
    found.wants += _wants(line.digest, entry, document)
    found.findings += _inside(entry, str(path))


def _known(entry: AnyEntry, line: int) -> Known:
    known = Known(entry.kind, entry.name, line, subject_of(entry), None)
    if isinstance(entry, Entry):
        # The rest is large, and only looked at again where there is a journal.
        known.entry = entry.model_copy(
            update={"spec": {}, "environment": None, "code": None}
        )
    elif isinstance(entry, Verdict) and entry.grade == "EXACT":
        known.verdict_heads = entry.trace_heads
    elif isinstance(entry, Attestation):
        known.attestation = entry
    elif isinstance(entry, Evaluation):
        known.evaluation = entry.model_copy(update={"environment": None, "code": None})
    return known


def _wants(digest: str, entry: AnyEntry, document: dict[str, Any]) -> Iterator[Want]:
    if isinstance(entry, Entry):
        yield Want(digest, entry.plan, "plan")
        yield Want(digest, entry.lock, "lock")
        for stage in entry.stages:
            yield Want(digest, stage.trace, "trace", stage)
            yield Want(digest, stage.metrics, "metrics", stage)
            yield Want(digest, stage.timings, "timings", stage)
            if stage.tensor_words is not None:
                yield Want(digest, stage.tensor_words, "words", stage)
        for checkpoint in entry.checkpoints:
            yield Want(digest, checkpoint.tensors, "tensors")
    if isinstance(entry, Entry | Evaluation):
        for score in entry.scores:
            if score.detail is not None:
                claim = claim_of(score, entry)
                yield Want(digest, score.detail, "results", claim=claim)
    # What is large and names no object, such as hundreds of distributions.
    searched = {key: document[key] for key in document if key not in _WITHOUT_OBJECTS}
    for ref in references(searched):
        yield Want(digest, ref, "")


def _inside(entry: AnyEntry, file: str) -> Iterator[Finding]:
    """Check what a document says of itself: of a run, that stages follow each other."""
    if isinstance(entry, Evaluation):
        for what in evaluation_problems(entry):
            yield Finding(kind="entry", what=what, file=file)
    if not isinstance(entry, Entry):
        return
    for before, stage in zip(entry.stages, entry.stages[1:], strict=False):
        if before.stop_step != stage.start_step:
            what = f"stage {stage.name} starts at step {stage.start_step}, the one "
            what += f"before it ends at {before.stop_step}"
            yield Finding(kind="entry", what=what, file=file, path="stages")


def _check_subjects(found: Entries, ledger: Ledger) -> None:
    """Check that what a document is about is there, and is what it says it is."""
    for digest, one in found.known.items():
        file = str(ledger.entry_path(digest))
        for what in _subject_problems(found, one, ledger.objects):
            found.findings.append(Finding(kind="entry", what=what, file=file))


def _subject_problems(
    found: Entries, one: Known, objects: ObjectStore
) -> Iterator[str]:
    if one.subject is None:
        yield from _reused_problems(found, one)
        return
    subject = found.known.get(one.subject)
    said = f"the {one.kind} is of entry {one.subject[:12]}"
    if subject is None:
        yield f"{said}, which the ledger does not hold whole"
    elif subject.name != one.name:
        yield f"{said} by the name {one.name!r}, but that is {subject.name!r}"
    elif one.verdict_heads is not None and subject.entry is not None:
        heads = tuple(stage.trace_head for stage in subject.entry.stages)
        if heads != one.verdict_heads:
            yield f"{said} and EXACT, but the traces of the two differ"
    elif one.evaluation is not None:
        what = "that is no run"
        if subject.entry is not None:
            what = weights_problem(one.evaluation, subject.entry, objects) or ""
        if what:
            yield f"{said}, but {what}"


def _reused_problems(found: Entries, one: Known) -> Iterator[str]:
    for stage in one.entry.stages if one.entry is not None else ():
        source = found.known.get(stage.reused_from or "")
        if source is None or source.entry is None:
            continue
        # By identity: the two runs may call the stage otherwise.
        same = [was for was in source.entry.stages if was.identity == stage.identity]
        if [was.weights_digest for was in same] != [stage.weights_digest]:
            yield (
                f"stage {stage.name} was taken over from entry "
                f"{str(stage.reused_from)[:12]}, which has other weights for it"
            )
