"""What Slurm says of our jobs: those in its queue, and how others have ended."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from specs.errors import InputError

OVER = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL",
        "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States that a job does not leave."""

_SECONDS = 60
_COLUMNS = "%i|%T|%k"


class Queued(NamedTuple):
    """A job that Slurm knows."""

    id: str
    state: str
    """In Slurm's words, such as PENDING."""
    comment: str
    """What was said of it when it was submitted."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER


def queue() -> list[Queued]:
    """Return this user's jobs that Slurm remembers, the last one submitted at the end.

    Raises:
        InputError: Slurm is not installed, or does not answer.
    """
    user = getpass.getuser()
    command = ["squeue", "--noheader", "--states=all", "-u", user, "-o", _COLUMNS]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        fix = "run it where jobs are submitted: on a login node of the cluster"
        raise InputError("Slurm's squeue is not installed here", fix=fix) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"Slurm did not answer for {_SECONDS} s") from None
    if done.returncode != 0:
        raise InputError(f"Slurm does not answer: {done.stderr.strip()}")
    rows = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
    found = [Queued(*row) for row in rows if len(row) == 3]
    return sorted(found, key=lambda one: [len(one.id), one.id])


def accounted(names: Mapping[str, str]) -> dict[str, str]:
    """Return how jobs have ended that the queue has forgotten, where Slurm keeps it.

    Args:
        names: Slurm's number of the job -> name; another one's job may have the number.

    Returns:
        Slurm's number of the job -> state; nothing without accounting.
    """
    if not names:
        return {}
    columns = "JobID,State,JobName"
    command = ["sacct", "-n", "-X", "-P", "-o", columns, "-j", ",".join(names)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split("|", 2) for line in done.stdout.splitlines()]
    # `CANCELLED by 1000` is CANCELLED.
    return {
        row[0]: row[1].partition(" ")[0]
        for row in rows
        if len(row) == 3 and names.get(row[0]) == row[2]
    }


def cancel(id: str) -> None:
    """Take a job out of the queue."""
    subprocess.run(["scancel", id], capture_output=True, timeout=_SECONDS, check=False)
