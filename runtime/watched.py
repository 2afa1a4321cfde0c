"""Whether files are still those whose bytes were checked.

Bytes are compared with the lock before anything is read, and read again by workers.
What is written to a file in between would go into a store that claims to be of the
pinned bytes. So a file's stamp is taken before the check and compared after a reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from specs.errors import Problem

Stamp = tuple[int, int, int, int]
"""Device, inode, bytes and time of change of a file. Its times of access and of its
links say nothing of its bytes: DVC makes links to files at any moment."""


class WatchedFiles:
    """Files of a workspace, as they were when the watch began."""

    def __init__(self, workspace: Path, files: Iterable[str]):
        """Begin the watch; from then on no change may go unnoticed.

        Args:
            workspace: The folder that the files' names are relative to.
            files: The files; what is missing is noticed if it comes.
        """
        self._workspace = workspace
        self._stamps = {file: self._stamp(file) for file in files}

    def changes(self, files: Iterable[str]) -> list[Problem]:
        """Return a problem for each of some files that is not as it was."""
        return [
            Problem(
                what="changed after its bytes were checked, while it was being read",
                file=file,
                fix="let whatever writes it end, then run the command again",
            )
            for file in sorted(set(files))
            if self._stamp(file) != self._stamps[file]
        ]

    def _stamp(self, file: str) -> Stamp | None:
        try:
            found = os.stat(self._workspace / file)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
