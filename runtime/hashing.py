"""Hashes of whole files, reported while they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class FileHash:
    """The bytes of a file, as two hashes of the same reading."""

    sha256: str
    """Ours."""
    md5: str | None
    """DVC's; null where it was not asked for."""
    num_bytes: int


def hash_file(
    path: Path,
    *,
    with_md5: bool = False,
    moved: Callable[[int], None] = lambda num_bytes: None,
) -> FileHash:
    """Read a file once and hash it.

    Args:
        path: What to read.
        with_md5: Also make DVC's hash, which halves the speed.
        moved: Told the bytes of each piece read.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    num_bytes = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            if with_md5:
                md5.update(chunk)
            num_bytes += len(chunk)
            moved(len(chunk))
    return FileHash(
        sha256.hexdigest(), md5.hexdigest() if with_md5 else None, num_bytes
    )
