"""Opening a bundle: every byte is checked before anybody uses one of them.

The name of the entry stands for the whole ledger part. What else is in a bundle either
follows from the entry, and is made anew and compared, or is checked against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ledger.bundle_checkpoints import manifest_problems
from ledger.bundle_code import check_code_bundle
from ledger.bundle_crate import Facts, crate_problems, described_files, entities
from ledger.bundle_documents import log_lines, mentioned, order_problems, rechained
from ledger.bundle_layout import (
    CHECKPOINT,
    CODE,
    ENTRY,
    FORMAT,
    METADATA,
    OBJECT,
    ORDER,
    REMOTES,
    Tell,
    entry_name,
)
from ledger.bundle_texts import spec_file, texts_of, written_out
from ledger.bundle_zip import extract, open_zip
from ledger.documents import subject_of
from ledger.entry import Entry
from ledger.finding import Finding, silent
from ledger.keys import PublicKey
from ledger.log import read_raw_lines
from ledger.objects import references
from ledger.store import Ledger
from ledger.verify_entries import Entries, check_entries
from ledger.verify_log import check_log
from ledger.verify_objects import check_objects
from ledger.verify_signatures import check_signatures
from specs.errors import CheckFailed, InputError, Problem
from specs.experiment import resolved_digest

_MAX_METADATA_BYTES = 500_000_000


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A bundle that was checked and unpacked."""

    digest: str
    """Of its entry."""
    entry: Entry
    folder: Path
    """Where its files lie, named as in the bundle."""
    ledger: Ledger
    """In that folder: the entry and the documents it needs, in order of arrival."""
    names: tuple[str, ...]
    unknown_keys: tuple[str, ...]
    """Keys of signatures that could not be checked: nobody here trusts them."""


def read_bundle(
    path: Path,
    folder: Path,
    *,
    trusted: Mapping[str, PublicKey],
    tell: Tell = lambda task, done, total: None,
) -> Opened:
    """Check a bundle and unpack it.

    Args:
        path: The file.
        folder: An empty folder for what is in it.
        trusted: Key id -> key: signatures of these must be good.
        tell: Told how far it is.

    Raises:
        CheckFailed: Something in it is not what it says; with all that is wrong.
        InputError: It can't be read, there is no room, or a newer codemix wrote it.
    """
    with open_zip(path) as bundle:
        found = extract(bundle, folder, tell)
    document = _metadata(folder)
    digest = _entry_digest(document)
    _refuse(_described(document, found))
    ledger, originals = _ledger(folder, found)
    entries = _checked_documents(ledger)
    entry = _run(ledger, digest, entries)
    _refuse(_unneeded(ledger, digest, found))
    unknown, wrong = _signatures(ledger, originals, entries, trusted)
    problems = [*wrong, *_follows(folder, digest, entry, ledger, found)]
    problems += crate_problems(document, digest, entry, found)
    _refuse(problems)
    return Opened(
        digest=digest,
        entry=entry,
        folder=folder,
        ledger=ledger,
        names=tuple(sorted(found)),
        unknown_keys=unknown,
    )


def _metadata(folder: Path) -> Any:
    path = folder / METADATA
    try:
        if path.stat().st_size > _MAX_METADATA_BYTES:
            raise CheckFailed("is larger than any list of files", file=METADATA)
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckFailed(f"{METADATA} is missing: this is no bundle") from None
    except (ValueError, RecursionError):
        raise CheckFailed("is no JSON", file=METADATA) from None


def _entry_digest(document: Any) -> str:
    root = entities(document).get("./", {})
    version = root.get("schemaVersion")
    if version != FORMAT:
        raise InputError(
            f"the bundle is of format {version!r}, this codemix reads {FORMAT!r}",
            fix="use a newer codemix, if a codemix wrote it",
        )
    digest = str(root.get("identifier")).removeprefix("sha256:")
    if not ENTRY.fullmatch(entry_name(digest)):
        raise CheckFailed("names no entry", file=METADATA)
    return digest


def _described(document: Any, found: Mapping[str, Facts]) -> Iterator[Problem]:
    """Compare every file with what the bundle says of it."""
    said = {unquote(name): facts for name, facts in described_files(document).items()}
    for name, facts in sorted(found.items()):
        if name == METADATA:
            continue
        if name not in said:
            yield Problem(what="is in the bundle, which does not say so", file=name)
        elif said[name] != facts:
            yield Problem(what="is not what the bundle says: changed", file=name)
        named = ENTRY.fullmatch(name) or OBJECT.fullmatch(name)
        if named and named[named.re.groups] != facts.sha256:
            yield Problem(what="was changed: its bytes are not its name", file=name)
    for name in sorted(set(said) - set(found)):
        yield Problem(what="is missing from the bundle", file=name)


def _ledger(folder: Path, found: Mapping[str, Facts]) -> tuple[Ledger, list[bytes]]:
    """Make a ledger of what was unpacked; return it and its lines in the original."""
    if ORDER not in found:
        raise CheckFailed(f"{ORDER} is missing")
    order = (folder / ORDER).read_bytes()
    present = {match[1] for name in found if (match := ENTRY.fullmatch(name))}
    lines = [line.get("entry") for line in log_lines(order)]
    digests = tuple(one for one in lines if one in present)
    problems = order_problems(order, digests)
    if set(digests) != present or len(digests) != len(present):
        problems.append(Problem(what="has not every document once"))
    _refuse(replace(problem, file=ORDER) for problem in problems)
    ledger = Ledger(folder / "ledger")
    ledger.log_path.write_bytes(rechained(order, digests))
    raw = order.split(b"\n")[:-1]
    originals = [
        one for one, name in zip(raw, lines, strict=True) if name in set(digests)
    ]
    return ledger, originals


def _checked_documents(ledger: Ledger) -> Entries:
    """Check the documents and their objects as `codemix ledger verify` does."""
    log, findings = check_log(ledger, read_raw_lines(ledger.folder))
    names = [f"{line.digest}.json" for _, line in log]
    entries = check_entries(ledger, names, log, silent)
    # Objects are only looked into where all documents can be believed.
    _refuse([*findings, *entries.findings], ledger)
    _refuse(check_objects(ledger.objects, entries.wants, silent).findings, ledger)
    return entries


def _run(ledger: Ledger, digest: str, entries: Entries) -> Entry:
    if digest not in entries.known:
        raise CheckFailed("names an entry that is not in the bundle", file=METADATA)
    entry = ledger.read(digest)
    if not isinstance(entry, Entry):
        raise CheckFailed("the entry is not a run", file=entry_name(digest))
    return entry


def _unneeded(
    ledger: Ledger, digest: str, found: Mapping[str, Facts]
) -> Iterator[Problem]:
    """Find documents that have nothing to do with the entry, and loose objects."""
    documents = {
        line.digest: json.loads(ledger.read_bytes(line.digest)) for line in ledger.log()
    }
    subjects = {one: subject_of(ledger.read(one)) for one in documents}
    needed: set[str] = set()
    waiting = [digest]
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed.add(one)
            waiting += mentioned(documents[one], set(documents))
            waiting += [other for other, about in subjects.items() if about == one]
    for one in sorted(set(documents) - needed):
        what = "has nothing to do with the bundle's entry"
        yield Problem(what=what, file=entry_name(one))
    refs = {ref.sha256 for one in documents.values() for ref in references(one)}
    for name in sorted(found):
        match = OBJECT.fullmatch(name)
        if match and match[2] not in refs:
            yield Problem(what="is an object that nothing refers to", file=name)


def _signatures(
    ledger: Ledger,
    originals: list[bytes],
    entries: Entries,
    trusted: Mapping[str, PublicKey],
) -> tuple[tuple[str, ...], list[Finding]]:
    """Check signatures of trusted keys, in the place of the log that they speak of."""
    signed = [one.attestation for one in entries.known.values() if one.attestation]
    unknown = sorted({one.key for one in signed} - set(trusted))
    known = {
        digest: one
        for digest, one in entries.known.items()
        if one.attestation is None or one.attestation.key in trusted
    }
    wrong = check_signatures(ledger, originals, known, trusted, are_required=False)
    return tuple(unknown), list(wrong)


def _follows(
    folder: Path,
    digest: str,
    entry: Entry,
    ledger: Ledger,
    found: Mapping[str, Facts],
) -> Iterator[Problem]:
    """Compare with the entry what follows from it, or belongs to it."""
    file = entry_name(digest)
    if resolved_digest(entry.spec) != entry.spec_digest:
        yield Problem(what="the spec is not what its digest says", file=file)
    if entry.spec.get("name") != entry.name:
        yield Problem(what="the spec has another name than the entry", file=file)
    texts = texts_of(entry, ledger.objects)
    raw = ledger.objects.get(entry.raw_spec)
    spec, name = (folder / f"spec/{entry.name}.yaml"), f"spec/{entry.name}.yaml"
    if not spec.is_file() or spec.read_bytes() not in (
        spec_file(entry, raw),
        written_out(entry),
    ):
        yield Problem(what="is not the entry's spec", file=name)
    for other, data in texts.items():
        if other not in found or (folder / other).read_bytes() != data:
            yield Problem(what="does not follow from the entry", file=other)
    known = {*texts, name, REMOTES}
    for other in found:
        if other.startswith(("spec/", "pins/", "environment/")) and other not in known:
            yield Problem(what="does not belong to the entry", file=other)
    for key, other in CODE.items():
        repository = getattr(entry.code, key)
        if other in found:
            commit = repository.commit if repository is not None else None
            if commit is None or len(commit) not in (40, 64):
                yield Problem(what="the entry names no commit", file=other)
            else:
                yield from check_code_bundle(folder / other, commit, other)
    for other in found:
        match = CHECKPOINT.fullmatch(other)
        if match and match[2] == "manifest.json":
            path, step = folder / other, int(match[1])
            yield from manifest_problems(path, step, entry, ledger.objects)
        elif match and f"checkpoints/{match[1]}/manifest.json" not in found:
            yield Problem(what="belongs to a checkpoint without manifest", file=other)


def _refuse(problems: Any, ledger: Ledger | None = None) -> None:
    """Refuse a bundle; paths in problems become names in it.

    Raises:
        CheckFailed: There are problems.
    """
    told = []
    for problem in problems:
        file = problem.file
        if ledger is not None and file is not None:
            root = f"{ledger.folder.parent}/"
            file = file.removeprefix(root)
        told.append(Problem(what=problem.what, file=file, line=problem.line))
    if told:
        raise CheckFailed(list(dict.fromkeys(told)))
