"""The state of a git repository: its commit, and a patch to the files as they are.

Files that hold secrets, or are there to, are left out of the patch by name. So a patch
may be shown to anybody who may see the commit.

The patch is made by git from a temporary index, so binary files, links, modes and files
that are not in git yet are all in it, and the repository itself is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ledger.facts import ObjectRef, Repository
from ledger.secrets import holds_secret, is_secret_file

MAX_FILE_BYTES = 1_000_000
"""Larger files are left out of the patch, by name."""

MAX_PATCH_BYTES = 20_000_000
"""A patch that comes out larger is not kept; all its files count as left out."""

_TIMEOUT_SECONDS = 60


class _Git:
    """Commands in one repository, none of which runs hooks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str, **variables: str) -> bytes | None:
        """Return what a command prints; null if it fails."""
        command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"]
        finished = subprocess.run(
            [*command, *arguments],
            cwd=self._folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", **variables},
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        return finished.stdout if finished.returncode == 0 else None

    def line(self, *arguments: str) -> str | None:
        """Return the one line that a command prints; null if it fails or is empty."""
        output = self(*arguments)
        return output.decode().strip() or None if output is not None else None


def inspect_repository(
    folder: Path, put: Callable[[bytes], ObjectRef], *, holds: Path | None = None
) -> Repository | None:
    """Describe the repository around a folder; null if there is none.

    Args:
        folder: Somewhere inside the repository.
        put: Keeps the patch and returns the reference to it.
        holds: A file that has to be in the repository for it to count: installed code
            may lie in an environment inside a repository that has nothing to do with
            it.
    """
    if shutil.which("git") is None:
        return None
    top = _Git(folder).line("rev-parse", "--show-toplevel")
    if top is None:
        return None
    git = _Git(Path(top))
    if holds is not None and not git.line("ls-files", "--", str(holds)):
        return None
    changed = _changed_files(git)
    left_out = {name for name in changed if _stays_out(Path(top), name)}
    commit = git.line("rev-parse", "--verify", "--quiet", "HEAD")
    patch = _patch(git, commit, sorted(changed - left_out))
    if patch and holds_secret(patch):
        # In lines that were deleted: the files themselves hold none.
        left_out |= _telling_files(patch, changed)
        patch = _patch(git, commit, sorted(changed - left_out))
    if patch is None or len(patch) > MAX_PATCH_BYTES or holds_secret(patch):
        patch, left_out = b"", changed
    return Repository(
        commit=commit,
        branch=git.line("symbolic-ref", "--short", "--quiet", "HEAD"),
        dirty=bool(changed),
        diff=put(patch) if patch else None,
        left_out=tuple(sorted(left_out)),
    )


def _changed_files(git: _Git) -> set[str]:
    """Name files that differ from the commit or are neither in it nor ignored."""
    # Each record is "XY name", NUL at the end; without renames there is one name each.
    output = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    records = (output or b"").split(b"\0")
    return {os.fsdecode(record[3:]) for record in records if record}


def _stays_out(top: Path, name: str) -> bool:
    path = top / name
    if is_secret_file(name):
        return True
    try:
        if path.lstat().st_size > MAX_FILE_BYTES:
            return True
        return path.is_file() and holds_secret(path.read_bytes())
    except FileNotFoundError:
        return False


def _telling_files(patch: bytes, changed: set[str]) -> set[str]:
    """Name the files whose part of a patch holds a secret."""
    names = {b"a/%b b/%b" % (os.fsencode(name), os.fsencode(name)) for name in changed}
    found = set()
    for part in patch.split(b"\ndiff --git "):
        header = part.partition(b"\n")[0].removeprefix(b"diff --git ")
        if header in names and holds_secret(part):
            found.add(os.fsdecode(header[2 : len(header) // 2]))
    return found


def _patch(git: _Git, commit: str | None, names: list[str]) -> bytes | None:
    """Make the patch from the commit to the named files; null if git can't."""
    if not names:
        return b""
    objects = git.line("rev-parse", "--path-format=absolute", "--git-path", "objects")
    if objects is None:
        return None
    base = commit or git.line("hash-object", "-t", "tree", os.devnull)
    with tempfile.TemporaryDirectory(prefix="codemix-") as scratch:
        listed = Path(scratch) / "names"
        listed.write_bytes(b"\0".join(os.fsencode(name) for name in names))
        (Path(scratch) / "objects").mkdir()
        # New objects and the index go to the scratch folder, not to the repository.
        variables = {
            "GIT_INDEX_FILE": str(Path(scratch) / "index"),
            "GIT_OBJECT_DIRECTORY": str(Path(scratch) / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
            "GIT_LITERAL_PATHSPECS": "1",
        }
        if commit is not None and git("read-tree", commit, **variables) is None:
            return None
        listing = f"--pathspec-from-file={listed}"
        added = git(
            "add", "--all", "--force", listing, "--pathspec-file-nul", **variables
        )
        if added is None:
            return None
        return git(
            *("diff", "--cached", "--binary", "--no-color", "--no-ext-diff"),
            *("--no-textconv", "--no-renames", "--full-index", str(base)),
            **variables,
        )
