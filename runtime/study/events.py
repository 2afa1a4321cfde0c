"""What happens in a study: told to whoever listens, and kept for people to read.

    .codemix/studies/NAME/journal.jsonl   one line per event

What is done is what the ledger has. One thing alone is decided by this file: whom to
send a signal that an earlier call has started.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runtime.study.schedule import State


class Event(NamedTuple):
    """A job that stands otherwise than before."""

    job: str
    state: State
    reason: str = ""
    pid: int | None = None
    log: str | None = None


Tell = Callable[[Event], None]


class StudyJournal:
    """The events of a study, over all calls."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.jsonl"

    def add(self, event: Event) -> None:
        """Write an event, in one piece or not at all.

        A full disk stops no study by this file: the jobs tell of it themselves.
        """
        told = {"unix_ms": time.time_ns() // 10**6, **event._asdict()}
        line = f"{json.dumps(told)}\n".encode()
        with suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                size = os.fstat(file).st_size
                if os.write(file, line) < len(line):
                    os.ftruncate(file, size)
            finally:
                os.close(file)

    def last_pid(self, job: str) -> int | None:
        """Return the process that a job was last run by; None if that has ended."""
        pid: int | None = None
        if self._path.exists():
            for line in self._path.read_text("utf-8").splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # A power cut tore it.
                if event["job"] == job:
                    # The number of one that has ended may be anybody's by now.
                    pid = event["pid"] if event["state"] == "running" else None
        return pid
