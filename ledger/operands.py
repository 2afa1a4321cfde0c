"""What `codemix diff` compares: a spec, a spec of a git revision, an entry, a bundle.

study.yaml            a spec file; study.yaml#NAME one experiment of a matrix
HEAD~3:study.yaml     that file as a git revision has it, with what it extends
540ce97bc160          an entry of the ledger, by digest or name
run.crate.zip         the entry of a bundle
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from ledger.documents import Stored, run_of
from ledger.entry import Entry
from ledger.objects import ObjectStore
from ledger.store import Ledger
from specs.base import Value
from specs.diff import Side
from specs.errors import CodemixError, InputError, SpecError
from specs.experiment import Experiment
from specs.loading import load_experiments, load_lock, lock_path
from specs.lock import Lock
from specs.names import did_you_mean
from specs.plan import Plan
from specs.workspace import find_workspace

_SPEC_SUFFIXES = (".yaml", ".yml")
_BUNDLE_SUFFIX = ".zip"


class Operand(Value):
    """One of the things that are compared."""

    label: str
    """As the user named it."""
    kind: Literal["spec", "entry"]
    name: str
    """Of the experiment."""
    entry_digest: str | None
    """Of the entry; null of a spec."""


class Opened(NamedTuple):
    """An operand with what it holds."""

    operand: Operand
    side: Side
    entry: Entry | None
    """Null of a spec."""
    ledger: Ledger | None
    """Where the entry is."""

    @property
    def objects(self) -> ObjectStore | None:
        """Where the entry's objects are; null of a spec."""
        return None if self.ledger is None else self.ledger.objects


@contextmanager
def open_operand(text: str) -> Iterator[Opened]:
    """Open one operand; see the module for how it is named.

    Raises:
        SpecError: The spec is wrong.
        InputError: There is no such file, revision or entry.
        CheckFailed: The entry or the bundle was changed.
    """
    path, _, cell = text.partition("#")
    with tempfile.TemporaryDirectory(prefix="codemix-") as scratch:
        if path.endswith(_SPEC_SUFFIXES):
            revision, colon, name = path.partition(":")
            if colon and not Path(path).exists():
                yield _of_revision(text, revision, name, cell, Path(scratch))
            else:
                yield _of_spec(text, Path(path), cell)
        elif text.endswith(_BUNDLE_SUFFIX):
            from ledger.bundle import open_bundle

            ledger, digest = open_bundle(Path(text), Path(scratch))
            yield _of_entry(text, ledger, ledger.find(digest))
        else:
            ledger = Ledger.open(find_workspace(Path("any.yaml")))
            yield _of_entry(text, ledger, ledger.find(text))


def _of_entry(text: str, ledger: Ledger, stored: Stored) -> Opened:
    entry = run_of(stored)
    side = Side(
        experiment=Experiment.model_validate(entry.spec),
        plan=Plan.model_validate(ledger.objects.get_json(entry.plan)),
        lock=Lock.model_validate(ledger.objects.get_json(entry.lock)),
    )
    # A whole digest fills a line; twelve digits of it name an entry as well.
    label = stored.digest[:12] if stored.digest.startswith(text) else text
    operand = Operand(
        label=label, kind="entry", name=entry.name, entry_digest=stored.digest
    )
    return Opened(operand, side, entry, ledger)


def _of_spec(text: str, path: Path, cell: str) -> Opened:
    experiment = _chosen(load_experiments(path), path, cell)
    lock = load_lock(lock_path(path)) if lock_path(path).exists() else None
    operand = Operand(label=text, kind="spec", name=experiment.name, entry_digest=None)
    return Opened(operand, Side.of(experiment, lock), None, None)


def _chosen(found: tuple[Experiment, ...], path: Path, cell: str) -> Experiment:
    """Return the experiment of a file that is meant."""
    names = [experiment.name for experiment in found]
    if not cell and len(found) == 1:
        return found[0]
    if cell in names:
        return found[names.index(cell)]
    if cell:
        fix = did_you_mean(cell, names)
        raise InputError(f"no experiment is named {cell!r}", file=str(path), fix=fix)
    raise InputError(
        f"the file stands for {len(found)} experiments",
        file=str(path),
        fix=f"name one, such as {path}#{names[0]}; all: {', '.join(names)}",
    )


def _of_revision(
    text: str, revision: str, name: str, cell: str, scratch: Path
) -> Opened:
    """Write the specs and locks of a revision to a folder, and read one of them."""
    top = Path(_git(Path(), "rev-parse", "--show-toplevel").decode().strip())
    commit = _git(
        top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", named=text
    )
    listed = _git(top, "ls-tree", "-r", "-z", "--name-only", commit.decode().strip())
    names = [one for one in listed.decode().split("\0") if one]
    wanted = str(PurePosixPath(name))
    if wanted not in names:
        specs = [one for one in names if one.endswith(_SPEC_SUFFIXES)]
        what = f"revision {revision} has no file {name}"
        raise InputError(what, fix=did_you_mean(wanted, specs))
    # What a spec extends must lie in its repository, so the folder looks like one.
    (scratch / ".git").mkdir()
    for one in names:
        if one.endswith((*_SPEC_SUFFIXES, ".lock")):
            target = scratch / one
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_git(top, "show", f"{commit.decode().strip()}:{one}"))
    try:
        return _of_spec(text, scratch / wanted, cell)
    except CodemixError as error:
        kind = SpecError if isinstance(error, SpecError) else InputError
        prefix = f"{scratch}/"
        raise kind(
            [
                replace(one, file=f"{revision}:{(one.file or '').removeprefix(prefix)}")
                for one in error.problems
            ]
        ) from None


def _git(folder: Path, *arguments: str, named: str = "") -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise InputError("git is not installed", fix="install git") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        what = told[0] if told else f"git knows no such revision: {named}"
        raise InputError(what, fix="write REVISION:FILE.yaml inside a git repository")
    return done.stdout
