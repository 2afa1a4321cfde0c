"""What a node of a Slurm cluster does for a job of a study: it runs its command.

submitit starts it there. Some time before its limit Slurm sends a signal: then the run
is asked to save its state, and the job goes back into the queue.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from runtime.study.slurm_start import NOTICES

_POLL_SECONDS = 0.2
_HELD = (*NOTICES, signal.SIGTERM)


class RunJob:
    """A command, as submitit calls it: with `checkpoint` for the end of its time."""

    def __init__(self, command: Sequence[str]) -> None:
        """Take the command line."""
        self.command = tuple(command)
        self._pid: int | None = None

    def __call__(self) -> None:
        """Run the command; each task of a job does.

        Raises:
            RuntimeError: It failed, or was stopped.
        """
        with _signals_held():
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sys.stdout,
                stderr=sys.stdout,
                preexec_fn=_leave_notices_to_parent,
            )
            self._pid = process.pid
        # Not `wait`: it holds a lock that a signal's handler would wait for.
        while (code := process.poll()) is None:
            time.sleep(_POLL_SECONDS)
        if code != 0:
            raise RuntimeError(f"{' '.join(self.command)}: exit code {code}")

    def checkpoint(self) -> Any:
        """Have the run save its state, and return what goes on in its place."""
        from submitit.helpers import DelayedSubmission

        # Once is enough: a second SIGTERM would end the run before it has saved.
        for number in NOTICES:
            signal.signal(number, signal.SIG_IGN)
        if self._pid is not None:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGTERM)
                os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(RunJob(self.command))


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait until there is a process that can be told."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        # Those too that were held back from the start.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def _leave_notices_to_parent() -> None:
    """Ignore the signals that Slurm gives notice by; by default they would kill."""
    for number in NOTICES:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
