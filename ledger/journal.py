"""The journal of a run: one JSON line per event, written before anything else knows.

A line is `["crc32 of the event, 8 hex digits",{event}]`. Lines are handed to the
operating system one by one, so a killed process loses none but a torn last one, and a
thread makes them durable once a second, so a power cut loses no more than that second.
Opening cuts a torn tail off; damage before the last durable point is an error.

The writer holds a lock on the file as long as it lives, whatever kills it: that is how
others know that a run is still going on.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from specs.atomic import sync_folder
from specs.errors import InputError

BARRIERS = frozenset({"checkpoint", "stage_end", "stage_reused", "finish"})
"""Kinds of event that are durable, with all before them, when `append` returns."""

_LOCK_SECONDS = 3.0
_PREFIX_BYTES = len('["00000000",')


class Line(NamedTuple):
    """One whole, undamaged line of a journal."""

    start: int
    """Byte offset of the line."""
    stop: int
    """Byte offset of the next line."""
    event: dict[str, Any]


class Journal:
    """A journal opened for writing by this process, and by no other."""

    def __init__(self, path: Path, *, sync_seconds: float = 1.0) -> None:
        """Open or make a journal, lock it, and cut off a torn tail.

        Args:
            path: The file; its folder is made if missing.
            sync_seconds: Most seconds between a line and its durability.

        Raises:
            InputError: Another process writes it, it is damaged, or can't be written.
        """
        self.path = path
        self._guard = threading.Lock()
        self._failure: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _cannot_write(path, error) from error
        try:
            _take_lock(self._file, path)
            self._size = self._synced = self._cut_torn_tail()
        except BaseException:
            os.close(self._file)
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._sync_regularly, args=(sync_seconds,), daemon=True
        )
        self._thread.start()

    def append(self, event: Mapping[str, Any]) -> Line:
        """Write one event; durable within a second, or at once for `BARRIERS`.

        Args:
            event: JSON types only, finite floats only, with a `kind`.

        Raises:
            InputError: The disk is full or broken. The journal is as it was before.
        """
        line = encode_line(event)
        with self._guard:
            self._raise_failure()
            self._write(line)
            start = self._size
            self._size += len(line)
        if event["kind"] in BARRIERS:
            self.sync()
        return Line(start, start + len(line), dict(event))

    def sync(self) -> None:
        """Make every line durable.

        Raises:
            InputError: The disk failed to.
        """
        with self._guard:
            size = self._size
        if size != self._synced:
            self._sync_to(size)
        self._raise_failure()

    def close(self) -> None:
        """Make every line durable and let others write."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        try:
            self.sync()
        finally:
            os.close(self._file)

    def _write(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            # Half a line must not stay in front of the next one. Making a file
            # shorter works on a full disk.
            os.ftruncate(self._file, self._size)
            raise _cannot_write(self.path, error) from error

    def _sync_regularly(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            if self._size != self._synced and self._failure is None:
                self._sync_to(self._size)

    def _sync_to(self, size: int) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            # Kept: after a failed fsync a second one may report success for bytes
            # that are lost, so the journal takes nothing any more.
            self._failure = error
        else:
            self._synced = max(size, self._synced)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise _cannot_write(self.path, self._failure) from self._failure

    def _cut_torn_tail(self) -> int:
        size = 0
        for line in read_journal(self.path):
            size = line.stop
        if size != os.fstat(self._file).st_size:
            os.ftruncate(self._file, size)
        os.fsync(self._file)
        sync_folder(self.path.parent)
        return size


def encode_line(event: Mapping[str, Any]) -> bytes:
    r"""Encode one event as a line with its checksum.

    >>> encode_line({"kind": "note", "step": 3})
    b'["f7c59166",{"kind":"note","step":3}]\n'
    """
    payload = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
    return b'["%08x",%b]\n' % (zlib.crc32(payload), payload)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """Read one line; null if it is torn or damaged.

    >>> decode_line(encode_line({"kind": "note"}))
    {'kind': 'note'}
    >>> decode_line(encode_line({"kind": "note"})[:-1]) is None
    True
    """
    payload = line[_PREFIX_BYTES:-2]
    if line != b'["%08x",%b]\n' % (zlib.crc32(payload), payload):
        return None
    event: dict[str, Any] = json.loads(payload)
    return event


def read_journal(path: Path, start: int = 0) -> Iterator[Line]:
    """Read whole lines from a byte offset on, also while they are being written.

    Stops quietly at a torn tail.

    Raises:
        InputError: A line is damaged and a durable one comes after it.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            event = decode_line(line)
            if event is None:
                _refuse_if_durable(path, file.tell(), damaged_at=start)
                return
            yield Line(start, start + len(line), event)
            start += len(line)


def read_event(path: Path, start: int) -> dict[str, Any]:
    """Read the one event whose line starts at a byte offset.

    Raises:
        InputError: There is no whole line.
    """
    with path.open("rb") as file:
        file.seek(start)
        event = decode_line(file.readline())
    if event is not None:
        return event
    raise InputError(
        f"no whole line at byte {start}",
        file=str(path),
        fix="the journal was changed by another program: restore it",
    )


def is_being_written(path: Path) -> bool:
    """Whether some living process has the lock of a file that it writes."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _refuse_if_durable(path: Path, start: int, *, damaged_at: int) -> None:
    """Tell a tail that a power cut lost from damage to what was durable."""
    with path.open("rb") as file:
        file.seek(start)
        events = (decode_line(line) for line in file)
        if any(event is not None and event["kind"] in BARRIERS for event in events):
            raise InputError(
                f"damaged line at byte {damaged_at}, and whole ones after it",
                file=str(path),
                fix="restore the file, or delete its folder to run from the start",
            )


def _take_lock(file: int, path: Path) -> None:
    # Readers hold the lock for an instant to see whether the writer lives, hence
    # the patience.
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise InputError(
                    "another process is recording this run",
                    file=str(path),
                    fix="wait for it to end, or end it",
                ) from None
            time.sleep(0.05)


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        f"can't write the journal: {error.strerror or error}",
        file=str(path),
        fix="free space on this disk or mend it, then run again: it resumes",
    )
