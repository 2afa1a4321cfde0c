"""A job as a process of this machine, and one that an earlier call has left behind.

Every process holds a lock on its log file as long as it lives, whatever becomes of the
study that started it. So a study that goes on after a kill sees which of its jobs are
still at work, and waits for them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ledger.journal import is_being_written
from runtime.study.slots import Slot

_TAIL_BYTES = 4000


class JobProcess(Protocol):
    """A job at work."""

    pid: int | None
    """None: not known."""

    def poll(self) -> int | None:
        """Return the exit code once it has ended, 0 for one that others started."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""


class Child:
    """A process that this study has started."""

    def __init__(
        self, process: subprocess.Popen[bytes], lock: int, log_start: int
    ) -> None:
        self.pid: int | None = process.pid
        self.log_start = log_start
        """Byte of its log at which its own output begins."""
        self._process, self._lock = process, lock

    def poll(self) -> int | None:
        """Return the exit code once it has ended; negative: the signal that did it."""
        code = self._process.poll()
        if code is not None and self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        return code

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)


class Orphan:
    """A process whose study is gone."""

    def __init__(self, log: Path, pid: int | None) -> None:
        self.pid = pid
        self._log = log

    def poll(self) -> int | None:
        """Return 0 once it has ended, however that was."""
        return None if is_being_written(self._log) else 0

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is known who it is."""
        if self.pid is not None and is_being_written(self._log):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def start(command: Sequence[str], log: Path, slot: Slot) -> Child:
    """Start a job; nobody else may be at work on it.

    It has a process group of its own, so that Ctrl-C on the terminal reaches it once,
    from the study.

    Args:
        command: Its command line.
        log: Where its output goes, after what is there.
        slot: What it is given of the machine.

    Raises:
        OSError: It can't be started, or its log can't be written.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(lock, f"--- {when}\n".encode())
        log_start = os.fstat(lock).st_size
        with log.open("ab") as output, _only_on(slot.cores):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **slot.environ, "PYTHONPATH": python_path()},
                process_group=0,
                # A descriptor of its own: what the job starts may keep its output.
                pass_fds=[lock],
            )
    except BaseException:
        os.close(lock)
        raise
    return Child(process, lock, log_start)


@contextmanager
def _only_on(cores: Sequence[int] | None) -> Iterator[None]:
    """Give what is started within its cores from its first moment.

    Set from outside once it runs, they could come after jax has counted them.
    """
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)  # of this thread
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def python_path() -> str:
    """Put our packages first: a workspace may hold folders of the same names."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def last_words(log: Path, start: int = 0) -> str:
    """Return the last error that a job has told, or its last line.

    Args:
        log: Its log.
        start: Byte at which its own output begins.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except FileNotFoundError:
        return "its log has been deleted"
    errors = [line for line in lines if line.startswith("error: ")]
    found = errors[-1].removeprefix("error: ") if errors else ""
    return found or next((line for line in reversed(lines) if line.strip()), "")
