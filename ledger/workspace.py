"""A workspace without anything in it: a folder with git and DVC."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ledger.dvc_store import DvcStore
from specs.atomic import write_atomically

IGNORED = """\
# What codemix can make again; the ledger in it is worth a backup.
/.codemix/
"""


def make_bare_workspace(folder: Path) -> list[str]:
    """Make a folder a workspace, keeping the git repository or DVC that is there.

    Returns:
        What was not there before, relative to the folder.

    Raises:
        InputError: DVC refuses.
        OSError: The folder can't be written.
    """
    made = []
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_in_git(folder):
        subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
        made.append(".git/")
    if not (folder / ".dvc").is_dir():
        DvcStore(folder).initialise()
        made.append(".dvc/")
    if not (folder / ".gitignore").exists():
        write_atomically(folder / ".gitignore", IGNORED.encode())
        made.append(".gitignore")
    return made


def _is_in_git(folder: Path) -> bool:
    answer = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "--is-inside-work-tree"],
        capture_output=True,
        check=False,
    )
    return answer.returncode == 0
