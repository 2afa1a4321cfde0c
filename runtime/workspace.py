"""`codemix init`: a folder with git, DVC, data and a starter spec that runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import specs
from ledger.workspace import make_bare_workspace
from runtime.corpus import write_corpus
from specs.atomic import write_atomically
from specs.errors import InputError, Problem

STARTER_SPEC = "experiment.yaml"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A workspace that was made."""

    folder: Path
    made: tuple[str, ...]
    """What was not there before, relative to the folder."""


def init_workspace(folder: Path) -> Workspace:
    """Make a folder a workspace with a starter spec and its data.

    A git repository or DVC that is there is kept, and no file is written over. After a
    crash, the same call finishes what is missing.

    Raises:
        InputError: The folder can't be written, git is missing, or a file that would
            be written is there already.
    """
    _check(folder)
    made = make_bare_workspace(folder)
    made += [f"data/{name}" for name in write_corpus(folder / "data")]
    # Last: where it is, the rest is too.
    starter = Path(specs.__file__).parent / "starter.yaml"
    write_atomically(folder / STARTER_SPEC, starter.read_bytes())
    return Workspace(folder=folder, made=(*made, STARTER_SPEC))


def _check(folder: Path) -> None:
    problems = []
    if shutil.which("git") is None:
        what = "git is not installed, and entries name the commit of their spec"
        problems.append(Problem(what=what, fix="install git"))
    if folder.exists() and not folder.is_dir():
        problems.append(
            Problem(file=str(folder), what="is a file", fix="name a folder")
        )
    elif (folder / STARTER_SPEC).exists():
        problems.append(
            Problem(
                file=str(folder / STARTER_SPEC),
                what="is there already",
                fix="name another folder, or move the file away",
            )
        )
    if problems:
        raise InputError(problems)
