"""One process at a time on one folder, for as long as it lives."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specs.errors import InputError


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Wait for a folder and keep others out of it.

    The system lets go of the lock when the process ends, however it ends, so there is
    never a stale one. The lock file lies beside the folder and stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def sole_user(folder: Path, what: str = "run") -> Iterator[None]:
    """Keep others out of a folder; do not wait for one who has it.

    Args:
        folder: The folder.
        what: What it is of, for the error.

    Raises:
        InputError: Another process has it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is working on this {what}",
                file=str(folder),
                fix="wait for it to end, or stop it",
            ) from None
        yield
