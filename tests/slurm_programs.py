"""Programs in Slurm's place: a queue of files, in which nothing ever runs by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PROGRAMS = {
    # Numbers begin at 7.
    "sbatch": """
number=$(($(ls "$QUEUE" | wc -l) + 7))
comment=$(sed -n 's/^#SBATCH --comment=//p' "$1")
echo "PENDING|$comment" > "$QUEUE/$number"
echo Submitted batch job $number
""",
    "squeue": """
for job in "$QUEUE"/*; do
    test -e "$job" && echo "$(basename "$job")|$(cat "$job")"
done
exit 0
""",
    "scancel": """
sed -i 's/^[A-Z]*/CANCELLED/' "$QUEUE/$1"
""",
    "sacct": """
exit 1
""",
    "srun": "",
}


class Queue:
    """What is in the queue, by number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def states(self) -> dict[str, str]:
        return {
            one.name: one.read_text().partition("|")[0] for one in self.folder.iterdir()
        }

    def set_state(self, number: str, state: str) -> None:
        comment = (self.folder / number).read_text().partition("|")[2]
        (self.folder / number).write_text(f"{state}|{comment}")

    def forget_options(self) -> None:
        """As if all were submitted before there were digests of options."""
        for one in self.folder.iterdir():
            one.write_text(one.read_text().partition(".")[0] + "\n")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """Put the programs first in the PATH."""
    programs, queue = folder / "programs", folder / "queue"
    programs.mkdir()
    queue.mkdir()
    for name, text in _PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\nQUEUE='{queue}'\n{text}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Queue(queue)
