"""Writing a file so that a reader, or a crash, sees the old bytes or the new ones."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from specs.errors import InputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole: temporary file, fsync, rename, fsync of the folder.

    Missing parent folders are made. After a crash at any moment the path holds the old
    bytes or the new ones; at worst a `.tmp` file is left beside it.

    Raises:
        OSError: The disk is full or the folder can't be written; nothing changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_named(path: Path, data: bytes) -> None:
    """Write a file that a user has named whole, see `write_atomically`.

    Raises:
        InputError: It can't be written; nothing changed.
    """
    try:
        write_atomically(path, data)
    except OSError as error:
        raise InputError(
            f"can't be written: {error.strerror or error}",
            file=str(path),
            fix="free space, or name a place that can be written",
        ) from error


def sweep(folder: Path) -> None:
    """Delete the temporary files of killed writers, subfolders included.

    Only for a folder that no other process writes to.
    """
    for left in folder.rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
