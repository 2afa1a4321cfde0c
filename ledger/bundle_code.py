"""The code of a run as a git bundle: `git clone` takes it.

The bundle is made of the commit alone, not of how the repository happens to be packed,
so the same commit gives the same bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from ledger.bundle_secrets import Secrets
from ledger.facts import CodeFacts, Repository
from specs.errors import Problem

MAX_REPOSITORY_BYTES = 100_000_000
"""As git keeps it; of a larger one a bundle has the commit's name and the patch."""

REF = "refs/heads/codemix"
"""What a clone has checked out."""

_HEADERS = {
    40: b"# v2 git bundle\n",
    64: b"# v3 git bundle\n@object-format=sha256\n",
}
"""Length of a commit's name -> how a bundle begins."""


class CodeBundle(NamedTuple):
    """One repository of a run's code."""

    path: Path | None
    """The git bundle; null where there is none."""
    why_not: str
    """Why there is none."""


def bundle_code(
    code: CodeFacts, workspace: Path, scratch: Path, secrets: Secrets
) -> dict[str, CodeBundle]:
    """Bundle the repositories of an entry's code, as far as they are here.

    Args:
        code: Of the entry.
        workspace: Whose repository may hold its commit.
        scratch: Folder for the bundles.
        secrets: What may be in none of them.

    Returns:
        `repository` and `workspace` -> its bundle, or why there is none.
    """
    here = Path(__file__).parents[1]
    found = {
        "repository": _bundle(code.repository, here, scratch / "a", secrets),
        "workspace": _bundle(code.workspace, workspace, scratch / "b", secrets),
    }
    if _is_same(code) and found["repository"].path is not None:
        found["workspace"] = CodeBundle(None, "it is that of codemix")
    return found


def check_code_bundle(path: Path, commit: str, name: str) -> list[Problem]:
    """Check that a git bundle is whole and is that of a commit."""
    header = _HEADERS[len(commit)] + f"{commit} {REF}\n\n".encode()
    # Unbuffered, so that git goes on where the header ends.
    with path.open("rb", buffering=0) as file:
        if file.read(len(header)) != header:
            what = f"is not the git bundle of commit {commit[:12]}"
            return [Problem(what=what, file=name)]
        if shutil.which("git") is None:
            return []
        with tempfile.TemporaryDirectory(prefix="codemix-") as scratch:
            object_format = "sha1" if len(commit) == 40 else "sha256"
            made = _git(
                Path(scratch),
                *("init", "--quiet", "--bare", f"--object-format={object_format}"),
            )
            unpacked = subprocess.run(
                ["git", "index-pack", "--stdin", "--strict"],
                cwd=scratch,
                stdin=file,
                capture_output=True,
                check=False,
            )
            whole = _git(Path(scratch), "rev-list", "--objects", "--quiet", commit)
    if made is None or unpacked.returncode or whole is None:
        return [Problem(what="git says that it is damaged", file=name)]
    return []


def _bundle(
    repository: Repository | None, folder: Path, target: Path, secrets: Secrets
) -> CodeBundle:
    if repository is None:
        return CodeBundle(None, "it was in no git repository")
    commit = repository.commit
    if commit is None:
        return CodeBundle(None, "there was no commit yet")
    top = (
        None if shutil.which("git") is None else _git(folder, "rev-parse", "--git-dir")
    )
    if top is None or _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        return CodeBundle(None, f"commit {commit[:12]} is not in a repository here")
    if _git(folder, "rev-parse", "--is-shallow-repository") == b"true\n":
        return CodeBundle(None, "the repository here is a shallow clone")
    size = _git(folder, "rev-list", "--objects", "--disk-usage", commit)
    if size is None:
        return CodeBundle(None, "the repository here is not whole")
    if int(size) > MAX_REPOSITORY_BYTES:
        what = f"the repository is larger than {MAX_REPOSITORY_BYTES:,} bytes"
        return CodeBundle(None, what)
    secret = secrets.in_history(folder, commit)
    if secret is not None:
        return CodeBundle(None, f"its history holds a secret: {secret}")
    return _packed(folder, commit, target)


def _packed(folder: Path, commit: str, target: Path) -> CodeBundle:
    arguments = ["pack-objects", "--revs", "--stdout", "--quiet", "--threads=1"]
    arguments += ["--no-reuse-object", "--delta-base-offset", "--compression=6"]
    arguments += ["--window=10", "--depth=50", "--window-memory=0"]
    with target.open("wb") as file:
        file.write(_HEADERS[len(commit)] + f"{commit} {REF}\n\n".encode())
        file.flush()
        packed = subprocess.run(
            ["git", "-c", "core.bigFileThreshold=512m", *arguments],
            cwd=folder,
            env=_environ(),
            input=f"{commit}\n".encode(),
            stdout=file,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    if packed.returncode:
        return CodeBundle(None, "git can't pack the repository")
    return CodeBundle(target, "")


def _is_same(code: CodeFacts) -> bool:
    one, other = code.repository, code.workspace
    return one is not None and other is not None and one.commit == other.commit


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what a command prints; null if it fails."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_environ(),
        capture_output=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def _environ() -> dict[str, str]:
    # A partial clone would go and fetch what it lacks.
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
