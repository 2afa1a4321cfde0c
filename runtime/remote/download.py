"""One file from elsewhere: into a part beside its place, then whole under its name.

A part that a kill, a lost connection or a full disk has left is gone on with, if the
place still has the same bytes, by its ETag. Beside a part lies a note that says what it
is a part of. The note of a file that is whole stays until DVC tracks it, see `arrived`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import requests
from pydantic import ValidationError

from runtime.hashing import FileHash, hash_file
from runtime.remote.http import answered
from runtime.remote.patience import DEFAULT_PATIENCE, Patience, Stopped, tried
from runtime.remote.places import Interrupted, Place, Refused, RemoteFile
from specs.atomic import sync_folder, write_atomically
from specs.base import Value
from specs.lock import Origin

_CHUNK_BYTES = 2**18
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Moved = Callable[[int], None]
"""Told how many bytes more, or fewer, of a file are here."""


class Note(Value):
    """What a part is a part of."""

    origin: Origin
    num_bytes: int | None
    validator: str | None
    """The ETag or date of the answer that it came from, to be asked to go on with."""
    boot: str
    """Of the machine: after a power cut a part may hold anything."""
    sha256: str | None = None
    """Of the whole file, once it is."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file that is wanted here."""

    file: RemoteFile
    place: Place
    target: Path
    sha256: str | None = None
    """What its bytes must have, where that is known."""

    @property
    def part(self) -> Path:
        """Where its bytes are collected; hidden, so that no pattern finds it."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Where it is noted what the part is."""
        return note_of(self.target)

    def num_bytes_here(self) -> int:
        """Return how much of it is here already and can be gone on with."""
        note = read_note(self.target)
        if note is None or not self._fits(note) or not self.part.is_file():
            return 0
        num_bytes = self.part.stat().st_size
        total = self.file.num_bytes
        is_too_long = total is not None and num_bytes > total
        is_whole = num_bytes == total
        return 0 if is_too_long or not (is_whole or note.validator) else num_bytes

    def _fits(self, note: Note) -> bool:
        return (
            note.origin == self.file.origin
            and note.num_bytes == self.file.num_bytes
            and note.boot == _boot()
        )


def note_of(target: Path) -> Path:
    """Return where it is noted where a file came from."""
    return target.with_name(f".{target.name}.part.json")


def read_note(target: Path) -> Note | None:
    """Return what is noted of a file or its part, if anything is that can be read."""
    try:
        return Note.model_validate_json(note_of(target).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def download(
    wanted: Download,
    *,
    moved: Moved = lambda num_bytes: None,
    patience: Patience = DEFAULT_PATIENCE,
    stop: Event | None = None,
) -> FileHash:
    """Bring one file here, whole and checked, or not at all.

    Raises:
        Refused: It can't be had, or is not what it should be.
        Stopped: It is no longer wanted.
        OSError: The disk is full or can't be written.
    """
    stop = stop or Event()
    wanted.target.parent.mkdir(parents=True, exist_ok=True)
    count = _Count(moved)
    count.show(wanted.num_bytes_here())
    tried(
        wanted.file.origin.address,
        lambda: _receive(wanted, count, patience, stop),
        patience=patience,
        stop=stop,
        reached=wanted.num_bytes_here,
    )
    found = hash_file(wanted.part, with_md5=True)
    try:
        _check(wanted, found)
    except Refused:
        wanted.part.unlink()
        raise
    _write_note(wanted, None, sha256=found.sha256)
    os.replace(wanted.part, wanted.target)
    sync_folder(wanted.target.parent)
    return found


class _Count:
    """How many bytes of a file are here, told as it changes."""

    def __init__(self, moved: Moved):
        self._moved = moved
        self._shown = 0

    def show(self, num_bytes: int) -> None:
        self._moved(num_bytes - self._shown)
        self._shown = num_bytes


def _receive(wanted: Download, count: _Count, patience: Patience, stop: Event) -> None:
    """Ask once for what is missing of a file, and append it to the part."""
    start = wanted.num_bytes_here()
    if start == wanted.file.num_bytes and wanted.part.is_file():
        return
    headers = {}
    if start:
        note = read_note(wanted.target)
        assert note is not None
        assert note.validator is not None
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator}
    address = wanted.file.origin.address
    with answered(
        wanted.place.ask(address),
        address=address,
        place=wanted.place,
        headers=headers,
        patience=patience,
    ) as response:
        if response.status_code == 416:
            wanted.part.unlink(missing_ok=True)
            raise Interrupted("the server does not have what is missing")
        total = _check_answer(wanted, response, start)
        if response.status_code == 200:
            start = 0
            wanted.part.unlink(missing_ok=True)
            _write_note(wanted, _validator(response))
        count.show(start)
        _append(wanted, response, count, stop)
    total = wanted.file.num_bytes if total is None else total
    if total is not None and wanted.part.stat().st_size != total:
        raise Interrupted("the body is shorter than the server said")


def _append(
    wanted: Download, response: requests.Response, count: _Count, stop: Event
) -> None:
    with wanted.part.open("ab") as part:
        # As they are stored, which is what the sizes and hashes of places are of.
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
            if stop.is_set():
                raise Stopped
            part.write(chunk)
            count.show(part.tell())
        part.flush()
        os.fsync(part.fileno())


def _check_answer(
    wanted: Download, response: requests.Response, start: int
) -> int | None:
    """Check that the answer is of the file that is wanted, and from where.

    Returns:
        How long the whole file is, if the server says so.
    """
    origin, headers = wanted.file.origin, response.headers
    is_packed = headers.get("Content-Encoding", "identity") != "identity"
    # A bucket keeps the encoding with the object: there it is part of what is stored.
    if is_packed and origin.address.startswith(("http:", "https:")):
        what = f"{origin.address}: the server compresses it on the way, unasked"
        raise Refused(what, "download it by hand")
    if origin.etag is not None and headers.get("ETag", origin.etag) != origin.etag:
        raise changed(origin.address, "ETag", origin.etag, headers["ETag"])
    date = headers.get("Last-Modified", origin.modified)
    if origin.modified is not None and date != origin.modified:
        raise changed(origin.address, "date", origin.modified, str(date))
    total = _total(response, start)
    if None not in (total, wanted.file.num_bytes) and total != wanted.file.num_bytes:
        was = f"{wanted.file.num_bytes} bytes"
        raise changed(origin.address, "length", was, f"{total} bytes")
    return total


def _total(response: requests.Response, start: int) -> int | None:
    if response.status_code == 206:
        unit, _, text = response.headers.get("Content-Range", "").partition(" ")
        bounds, _, total = text.partition("/")
        if unit != "bytes" or bounds.partition("-")[0] != str(start):
            raise Interrupted("the server sends another part than was asked for")
        return int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def changed(address: str, what: str, before: str, now: str) -> Refused:
    """Say that a place has other bytes than it had."""
    return Refused(
        f"{address} changed there: its {what} was {before}, is {now}",
        "pin another version of it, or put the file here by hand if you have it",
    )


def _check(wanted: Download, found: FileHash) -> None:
    origin = wanted.file.origin
    stated = origin.stated
    if stated is not None and stated != _as_stated(stated, wanted.part, found):
        what = f"{origin.address}: what arrived is not what the place states: {stated}"
        raise Refused(what, "run the same command again; it starts this file anew")
    if wanted.sha256 is not None and wanted.sha256 != found.sha256:
        was, now = f"{wanted.sha256[:12]}", f"{found.sha256[:12]}"
        raise changed(origin.address, "SHA-256", was, now)


def _as_stated(stated: str, path: Path, found: FileHash) -> str:
    """Return a file's digest of the same kind."""
    kind = stated.partition(":")[0]
    if kind == "git":
        blob = hashlib.sha1(f"blob {found.num_bytes}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                blob.update(chunk)
        return f"git:{blob.hexdigest()}"
    return f"{kind}:{found.sha256 if kind == 'sha256' else found.md5}"


def _validator(response: requests.Response) -> str | None:
    """Return what the rest of these very bytes can be asked for by."""
    etag = response.headers.get("ETag")
    if etag is not None:
        # A weak one says that the bytes mean the same, not that they are the same.
        return None if etag.startswith("W/") else etag
    return response.headers.get("Last-Modified")


def _write_note(
    wanted: Download, validator: str | None, *, sha256: str | None = None
) -> None:
    note = Note(
        origin=wanted.file.origin,
        num_bytes=wanted.file.num_bytes,
        validator=validator,
        boot=_boot(),
        sha256=sha256,
    )
    write_atomically(wanted.note, note.to_bytes())


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""
