"""The ledger of a workspace: immutable entries, and the log that chains them.

    .codemix/ledger/entries/<digest>.json   one document each, named by its SHA-256
    .codemix/ledger/log.jsonl               one line per entry, in order of arrival
    .codemix/ledger/objects/<aa>/<sha256>   what entries refer to

Each line of the log holds the SHA-256 of the line before, so a line that is changed,
dropped or moved breaks the chain. (A log cut short at its end is consistent: only a
copy kept elsewhere can show that.) Writers take turns by a file lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from ledger.documents import AnyEntry, Stored, UnknownDocument, read_document
from ledger.log import (
    LogLine,
    entries_on_disk,
    json_object,
    log_path,
    parse_lines,
    read_raw_lines,
)
from ledger.objects import ObjectStore
from specs.atomic import sync_folder, write_atomically
from specs.canonical import canonical_json
from specs.errors import CheckFailed, InputError, Problem

FIRST_LINK = "0" * 64
"""What the first line of a log names as the one before it."""

_SHORTEST_PREFIX = 4
_HEX = frozenset("0123456789abcdef")


class Ledger:
    """The ledger of one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = ObjectStore(folder / "objects")
        self.unknown: dict[str, Problem] = {}
        """Digest -> why an entry that was passed over can't be read by this codemix."""
        self.healed: tuple[str, ...] = ()
        """Digests of entries that were in no log when the ledger was opened: a process
        died between the two writes. They are in the log now."""

    @classmethod
    def open(cls, workspace: Path) -> Ledger:
        """Open the ledger of a workspace, and finish what a crash left undone."""
        ledger = cls(workspace / ".codemix" / "ledger")
        if ledger.folder.exists():
            ledger._heal()
        return ledger

    def append(self, entry: AnyEntry) -> Stored:
        """Write an entry and its line in the log; twice is as good as once.

        Raises:
            InputError: The disk is full or the folder can't be written.
        """
        return Stored(self.append_bytes(entry.to_bytes()), entry)

    def append_bytes(self, data: bytes) -> str:
        """Append the bytes of a document, such as one of another ledger.

        A codemix that has more fields would write other ones.

        Returns:
            Its digest.

        Raises:
            InputError: The disk is full or the folder can't be written.
        """
        return self._append_unless(lambda: None, data)

    def append_unless(
        self, known: Callable[[], Stored | None], entry: AnyEntry
    ) -> tuple[Stored, bool]:
        """Append an entry, unless the ledger holds one that says the same.

        Args:
            known: Looks for that one, while nobody else appends.
            entry: The new one.

        Returns:
            The one that the ledger holds now, and whether it is the new one.

        Raises:
            InputError: The disk is full or the folder can't be written.
        """
        found: list[Stored] = []

        def look() -> str | None:
            one = known()
            if one is None:
                return None
            found.append(one)
            return one.digest

        digest = self._append_unless(look, entry.to_bytes())
        return (found[0], False) if found else (Stored(digest, entry), True)

    def _append_unless(self, known: Callable[[], str | None], data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        document = json.loads(data)
        try:
            with self._turn():
                other = known()
                if other is not None:
                    return other
                if digest not in {line.digest for line in self.log()}:
                    write_atomically(self.entry_path(digest), data)
                    self._append_line(digest, document["kind"], document["name"])
        except OSError as error:
            raise InputError(
                f"can't write the ledger: {error.strerror or error}",
                file=str(self.folder),
                fix="free space on this disk, then run again: it resumes",
            ) from error
        return digest

    def log(self) -> tuple[LogLine, ...]:
        """Return the lines of the log in order; `ledger.verify` checks their chain.

        Raises:
            CheckFailed: A line is not one that we wrote.
        """
        return parse_lines(read_raw_lines(self.folder), self.folder)

    def entries(self) -> Iterator[Stored]:
        """Read every entry in order of arrival, checking each.

        What another codemix wrote is passed over, and is in `unknown` afterwards.

        Raises:
            CheckFailed: An entry was changed.
            InputError: An entry is missing.
        """
        for line in self.log():
            try:
                entry = self.read(line.digest)
            except UnknownDocument as error:
                self.unknown[line.digest] = error.problems[0]
            else:
                yield Stored(line.digest, entry)

    def read(self, digest: str) -> AnyEntry:
        """Read one entry by its whole digest.

        Raises:
            CheckFailed: Its bytes are not what was recorded.
            InputError: It is missing, or a newer codemix wrote it.
        """
        data = self.read_bytes(digest)
        return read_document(data, str(self.entry_path(digest)))

    def read_bytes(self, digest: str) -> bytes:
        """Read the bytes of one entry, checked against its digest."""
        path = self.entry_path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise InputError(
                "an entry of the ledger is missing",
                file=str(path),
                fix="restore it from a copy of the ledger or from MLflow's artifacts",
            ) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise CheckFailed(
                f"entry {digest[:12]} was changed: its bytes are not its name",
                file=str(path),
                fix="restore it from a copy of the ledger or from MLflow's artifacts",
            )
        return data

    def find(self, text: str) -> Stored:
        """Find an entry by the beginning of its digest, its name, or `@` and its tag.

        Raises:
            CheckFailed: The entry was changed.
            InputError: None or several are meant.
        """
        lines = self.log()
        is_prefix = len(text) >= _SHORTEST_PREFIX and not set(text) - _HEX
        found = [line for line in lines if is_prefix and line.digest.startswith(text)]
        found = found or [
            line for line in lines if line.name == text and line.kind == "run"
        ]
        if not found and text.startswith("@"):
            from ledger.labels import tagged

            digests = tagged(self.folder, text[1:])
            found = [line for line in lines if line.digest in digests]
        if len(found) == 1:
            return Stored(found[0].digest, self.read(found[0].digest))
        raise _ambiguous(text, found) if found else _unknown(text, lines)

    def entry_path(self, digest: str) -> Path:
        """Where an entry is kept."""
        return self.folder / "entries" / f"{digest}.json"

    @property
    def log_path(self) -> Path:
        """Where the log is kept."""
        return log_path(self.folder)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _heal(self) -> None:
        on_disk = entries_on_disk(self.folder)
        if on_disk <= {line.digest for line in self.log()}:
            return
        with self._turn():
            logged = {line.digest for line in self.log()}
            # A changed one is no entry; `ledger.verify` names it.
            for digest in filter(self._is_whole, sorted(on_disk - logged)):
                document = json_object(self.entry_path(digest).read_bytes())
                if {"kind", "name"} <= set(document):
                    self._append_line(digest, document["kind"], document["name"])
                    self.healed += (digest,)

    def _is_whole(self, digest: str) -> bool:
        data = self.entry_path(digest).read_bytes()
        named = {"kind", "name"} <= set(json_object(data))
        return named and hashlib.sha256(data).hexdigest() == digest

    def _append_line(self, digest: str, kind: str, name: str) -> None:
        lines = read_raw_lines(self.folder)
        line = {
            "entry": digest,
            "kind": kind,
            "name": name,
            "prev": hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST_LINK,
            "unix_ms": time.time_ns() // 10**6,
        }
        size = sum(len(raw) + 1 for raw in lines)
        with self.log_path.open("ab") as file:
            # What a killed writer or a full disk left of a line.
            file.truncate(size)
            file.write(canonical_json(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.folder)


def _ambiguous(text: str, found: list[LogLine]) -> InputError:
    digests = ", ".join(line.digest[:12] for line in found[-5:])
    return InputError(
        f"{text!r} means {len(found)} entries",
        fix=f"give more of the digest, such as one of {digests}",
    )


def _unknown(text: str, lines: tuple[LogLine, ...]) -> InputError:
    names = sorted({line.name for line in lines} | {line.digest[:12] for line in lines})
    close = get_close_matches(text, names, n=1)
    fix = f"did you mean {close[0]!r}?" if close else "see 'codemix ledger list'"
    return InputError(f"no entry of the ledger is named {text!r}", fix=fix)
