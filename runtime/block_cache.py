"""Blocks of files in a bucket, kept on this machine's disk up to a limit.

A file has a local copy of the same length with holes in it, so whoever maps the copy
sees every byte at its place once its block is there. A block counts after its digest
was compared, in each process anew: what a crash left half-written is fetched again. A
copy belongs to one process at a time.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import itertools
import os
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.storage import Storage
from specs.errors import InputError

BLOCK_BYTES = 2**17
"""About what one request should be for, and a few rows of tokens. Stores in buckets
have digests of blocks of this length."""

DIGEST_BYTES = 16

_PUNCH_HOLE = 0x01 | 0x02
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of Linux."""


def block_digest(block: bytes | memoryview) -> bytes:
    """Digest one block."""
    return hashlib.blake2b(block, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class BlockedFile:
    """A file in a bucket with the digests of its blocks."""

    storage: Storage
    name: str
    """In the storage."""
    label: str
    """What messages and the local copy call it; unique in a cache."""
    num_bytes: int
    digests: bytes
    """Of all blocks, in order."""

    def span(self, block: int) -> tuple[int, int]:
        """Return where a block starts and stops."""
        start = block * BLOCK_BYTES
        return start, min(start + BLOCK_BYTES, self.num_bytes)

    def is_right(self, block: int, data: bytes) -> bool:
        """Tell whether bytes are those of a block."""
        start = block * DIGEST_BYTES
        return block_digest(data) == self.digests[start : start + DIGEST_BYTES]


Place = tuple[str, int]
"""Label of a file and number of a block."""


class BlockCache:
    """The blocks that this process has at hand, for any threads."""

    def __init__(self, parent: Path, limit_bytes: int) -> None:
        """Take a folder that no other process uses.

        Args:
            parent: Holds the folders of all processes.
            limit_bytes: Most bytes to keep. What is in use at a moment may exceed it.
        """
        self._folder = _take_folder(parent)
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._left = {
            path.name: path.stat().st_blocks * 512 for path in self._folder.iterdir()
        }
        """Copies that earlier runs left -> bytes; those that are added are ours."""
        self._files: dict[str, BlockedFile] = {}
        self._copies: dict[str, int] = {}
        self._held: OrderedDict[Place, None] = OrderedDict()
        """Blocks with data, the ones used last at the end."""
        self._checked: set[Place] = set()
        self._users: Counter[Place] = Counter()

    def add(self, file: BlockedFile) -> Path:
        """Make room for a file and return the path of its copy, to be mapped."""
        path = self._folder / file.label
        copy = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(copy, file.num_bytes)
        with self._lock:
            self._left.pop(file.label, None)
            self._files[file.label], self._copies[file.label] = file, copy
            for block in _blocks_with_data(copy, file.num_bytes):
                self._held[file.label, block] = None
        return path

    @contextmanager
    def here(self, wanted: Iterable[Place]) -> Iterator[None]:
        """Bring blocks here, and keep them for as long as the context lasts.

        Raises:
            InputError: They can't be read, or are not what was written.
        """
        places = list(dict.fromkeys(wanted))
        with self._lock:
            self._users.update(places)
            missing = [place for place in places if place not in self._checked]
            for place in places:
                if place in self._held:
                    self._held.move_to_end(place)
        try:
            self._bring(missing)
            yield
        finally:
            with self._lock:
                self._users.subtract(places)
                self._users += Counter()  # forgets what nobody uses
                self._shrink()

    def _bring(self, missing: list[Place]) -> None:
        absent = [place for place in missing if not self._is_here(place)]
        for _ in range(2):  # what was damaged on its way is asked for once more
            absent = self._fetch(absent)
            if not absent:
                break
        if absent:
            label, block = absent[0]
            raise InputError(
                f"block {block} is not what was written: its digest differs",
                file=label,
                fix="restore the file in the bucket, or delete this token store there "
                "and run codemix prepare",
            )
        with self._lock:
            for place in missing:
                self._checked.add(place)
                self._held[place] = None
                self._held.move_to_end(place)

    def _is_here(self, place: Place) -> bool:
        """Tell whether the copy has the right bytes already."""
        if place not in self._held:
            return False
        file = self._files[place[0]]
        start, stop = file.span(place[1])
        return file.is_right(
            place[1], os.pread(self._copies[place[0]], stop - start, start)
        )

    def _fetch(self, places: list[Place]) -> list[Place]:
        """Fetch blocks, many at a time; return those that came damaged."""
        by_storage: dict[int, list[Place]] = {}
        for place in places:
            by_storage.setdefault(id(self._files[place[0]].storage), []).append(place)
        damaged = []
        for group in by_storage.values():
            files = [self._files[label] for label, _ in group]
            spans = [
                (file.name, *file.span(block))
                for file, (_, block) in zip(files, group, strict=True)
            ]
            try:
                found = files[0].storage.read_many(spans)
            except OSError as error:
                raise InputError(
                    f"the token store can't be read from the bucket: {error.strerror}",
                    file=files[0].label,
                    fix="check the network and the credentials; the same command goes "
                    "on from the last checkpoint",
                ) from error
            for file, place, data in zip(files, group, found, strict=True):
                if file.is_right(place[1], data):
                    _write(self._copies[place[0]], data, file.span(place[1])[0])
                else:
                    damaged.append(place)
        return damaged

    def _shrink(self) -> None:
        """Give back the blocks that were not used for longest; with the lock."""
        excess = len(self._held) * BLOCK_BYTES + sum(self._left.values()) - self._limit
        if excess <= 0:
            return
        for name in list(self._left):
            excess -= self._left.pop(name)
            (self._folder / name).unlink()
        for place in [one for one in self._held if not self._users[one]]:
            # The whole block, also behind the end: parts of pages are not given back.
            _punch_hole(self._copies[place[0]], place[1] * BLOCK_BYTES, BLOCK_BYTES)
            del self._held[place]
            self._checked.discard(place)
            excess -= BLOCK_BYTES
            if excess <= 0:
                return


def _take_folder(parent: Path) -> Path:
    """Lock the first folder that is free; the lock ends with the process."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        lock = os.open(parent / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        folder = parent / str(number)
        folder.mkdir(exist_ok=True)
        return folder
    raise AssertionError("there is always another number")


def _blocks_with_data(copy: int, num_bytes: int) -> Iterator[int]:
    """Yield the blocks of a file with holes that have data in them."""
    position = 0
    last = -1
    while position < num_bytes:
        try:
            start = os.lseek(copy, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # holes alone from here on
                return
            raise
        position = os.lseek(copy, start, os.SEEK_HOLE)
        for block in range(start // BLOCK_BYTES, -(-position // BLOCK_BYTES)):
            if block > last:
                yield block
                last = block


def _write(copy: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(copy, view, start)
        except OSError as error:
            raise InputError(
                f"tokens can't be cached on disk: {error.strerror}",
                fix="free space, or set stores.cache_bytes lower",
            ) from error
        view, start = view[count:], start + count


def _punch_hole(copy: int, start: int, count: int) -> None:
    """Give the disk space of a range back; it reads as zeros afterwards."""
    if not sys.platform.startswith("linux"):
        return  # Elsewhere the limit can't be kept, see docs/token-stores.md.
    libc = ctypes.CDLL(None, use_errno=True)
    offset = ctypes.c_int64
    if libc.fallocate64(copy, _PUNCH_HOLE, offset(start), offset(count)):
        code = ctypes.get_errno()
        raise InputError(
            f"the cache of tokens can't be made smaller: {os.strerror(code)}",
            fix="put the workspace on a local disk, or raise stores.cache_bytes",
        )
