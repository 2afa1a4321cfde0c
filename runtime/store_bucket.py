"""Token stores in a bucket: what lies where, and how it is read in place.

    LOCATION/tokenizers/SHA256.model
    LOCATION/IDENTITY/train-00000.tokens          as in a folder
    LOCATION/IDENTITY/train-00000.tokens.blocks   digests of its blocks
    LOCATION/IDENTITY/shard-00000.json            written after the shard's files
    LOCATION/IDENTITY/funnel.json
    LOCATION/IDENTITY/manifest.json               last, as in a folder

The workspace keeps the manifest and `elsewhere.json`, which says where the rest is.
"""

from __future__ import annotations

import errno
import functools
import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.block_cache import (
    BLOCK_BYTES,
    DIGEST_BYTES,
    BlockCache,
    BlockedFile,
)
from runtime.storage import Storage, open_storage
from runtime.store_format import FileRecord
from specs.base import Value
from specs.errors import InputError

ELSEWHERE = "elsewhere.json"
FUNNEL = "funnel.json"
TOKENIZERS = "tokenizers"
BLOCKS = ".blocks"

MAX_RETRIES = 10
"""Three minutes: training waits for its tokens, and says nothing while it does. Whoever
comes back later goes on from the last checkpoint."""


class Elsewhere(Value):
    """Where the files of a store are, as the workspace remembers it."""

    location: str
    """Of all stores."""
    cache_bytes: int


def elsewhere(folder: Path) -> Elsewhere | None:
    """Return where a store's files are; None where they are in its folder."""
    try:
        return Elsewhere.model_validate_json((folder / ELSEWHERE).read_bytes())
    except FileNotFoundError:
        return None


def open_bucket(location: str, below: str) -> Storage:
    """Open the part of a location that belongs to one store, or to the tokenizers.

    Raises:
        InputError: The bucket can't be reached.
    """
    return open_storage(f"{location.rstrip('/')}/{below}", MAX_RETRIES)


def unreadable(location: str, error: OSError) -> InputError:
    """Say that a bucket could not be read or written."""
    return InputError(
        f"the token stores can't be reached: {error.strerror or error}",
        file=location,
        fix="check the network and the credentials, then run the same command again",
    )


class RemoteFiles:
    """The files of one store in a bucket, read through a cache on disk."""

    def __init__(self, folder: Path, place: Elsewhere) -> None:
        """Open the bucket.

        Args:
            folder: Of the store in the workspace: `.codemix/stores/IDENTITY`.
            place: Where its files are.

        Raises:
            InputError: The bucket can't be reached.
        """
        self._identity = folder.name
        self._location = place.location
        self._storage = open_bucket(place.location, folder.name)
        cache = folder.parents[2] / ".codemix" / "cache" / "stores"
        self._cache = _cache_in(cache, place.cache_bytes)

    def copy_of(self, record: FileRecord) -> Path:
        """Return a copy of a file to be mapped: only blocks that are `here` count.

        Raises:
            InputError: It is not in the bucket, or has another length.
        """
        digests = self._read(record.name + BLOCKS)
        if len(digests) != -(-record.num_bytes // BLOCK_BYTES) * DIGEST_BYTES:
            raise InputError(
                "does not fit the manifest: it has digests of another length",
                file=f"{self._location}/{self._identity}/{record.name}{BLOCKS}",
                fix="delete this token store in the bucket and run codemix prepare",
            )
        return self._cache.add(
            BlockedFile(
                storage=self._storage,
                name=record.name,
                label=self._label(record),
                num_bytes=record.num_bytes,
                digests=digests,
            )
        )

    def here(
        self, records: Sequence[FileRecord], spans: Sequence[tuple[int, int, int]]
    ) -> AbstractContextManager[None]:
        """Bring ranges of bytes here for as long as the context lasts.

        Args:
            records: Files that have copies.
            spans: Index of a file, first byte, one past the last byte.

        Raises:
            InputError: They can't be read, or are damaged.
        """
        labels = [self._label(record) for record in records]
        return self._cache.here(
            (labels[index], block)
            for index, start, stop in spans
            for block in range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
        )

    def whole(self, record: FileRecord) -> NDArray[np.uint8]:
        """Read a whole file and compare its SHA-256.

        Raises:
            InputError: It can't be read, or is damaged.
        """
        data = self._read(record.name)
        if hashlib.sha256(data).hexdigest() != record.sha256:
            raise InputError(
                "has other bytes than the manifest says",
                file=f"{self._location}/{self._identity}/{record.name}",
                fix="delete this token store in the bucket and run codemix prepare",
            )
        return np.frombuffer(data, np.uint8)

    def _read(self, name: str) -> bytes:
        try:
            return self._storage.read(name)
        except OSError as error:
            where = f"{self._location}/{self._identity}/{name}"
            if error.errno == errno.ENOENT:
                raise InputError(
                    "is missing in the bucket",
                    file=where,
                    fix="delete this token store in the bucket and run codemix prepare",
                ) from None
            raise unreadable(where, error) from error

    def _label(self, record: FileRecord) -> str:
        return f"{self._identity[:32]}-{record.name}"


@functools.cache
def _cache_in(folder: Path, limit_bytes: int) -> BlockCache:
    """Open the cache once per process: it is a folder's only user."""
    return BlockCache(folder, limit_bytes)
