"""`codemix ledger import`: a bundle becomes part of a ledger, and of a workspace.

Nothing is written before everything is checked. Objects come first, then documents in
their order, so an import that is cut leaves a whole ledger, and may be repeated.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ledger.annotation import Annotation
from ledger.bundle_checkpoints import checkpoint_folder
from ledger.bundle_layout import CHECKPOINT, OBJECT, REMOTES, Tell
from ledger.bundle_read import Opened, read_bundle
from ledger.bundle_texts import pins_of
from ledger.bundle_write import file_digest
from ledger.documents import subject_of
from ledger.dvc_remotes import PUBLIC, has_remote, public_address
from ledger.dvc_store import DvcStore
from ledger.keys import read_trusted
from ledger.store import Ledger
from ledger.workspace import make_bare_workspace
from specs.atomic import sync_folder, write_atomically
from specs.errors import InputError
from specs.lock import Lock

_NOTE = "imported from bundle "


class Imported(NamedTuple):
    """What an import did."""

    entry: str
    """Digest of the run."""
    name: str
    bundle: str
    """SHA-256 of the bundle."""
    workspace: Path
    num_new: int
    """Documents that the ledger did not have."""
    written: tuple[str, ...]
    """Files that were not in the workspace before."""
    kept: tuple[str, ...]
    """Files of the workspace that differ from the bundle's, left as they are."""
    remote: str | None
    """Address of the DVC remote that was added."""
    checkpoints: tuple[int, ...]
    """Steps of the checkpoints that were put in place."""
    notes: tuple[str, ...]


def import_bundle(
    path: Path,
    *,
    workspace: Path,
    is_new: bool = False,
    tell: Tell = lambda task, done, total: None,
) -> Imported:
    """Check a bundle and take it into a workspace; twice is as good as once.

    Args:
        path: The file.
        workspace: The folder that holds `.dvc/`.
        is_new: Make the folder a workspace, if it is none.
        tell: Told how far it is.

    Raises:
        CheckFailed: Something in the bundle is not what it says.
        InputError: It can't be read, or the workspace can't be written.
    """
    if not path.is_file():
        raise InputError("no such file", file=str(path), fix="name a bundle")
    sha256, _ = file_digest(path)
    with _scratch(workspace) as folder:
        trusted = read_trusted(workspace) if workspace.is_dir() else {}
        opened = read_bundle(path, folder, trusted=trusted, tell=tell)
        try:
            written = make_bare_workspace(workspace) if is_new else []
            num_new, notes = _take_documents(opened, workspace, sha256)
            files, kept = _restore(opened, workspace)
            remote = _add_remote(opened, workspace)
            steps = _take_checkpoints(opened, workspace)
        except OSError as error:
            raise InputError(
                f"can't be written: {error.strerror or error}",
                file=str(error.filename or workspace),
                fix="free space on this disk, then import again: it resumes",
            ) from error
    return Imported(
        entry=opened.digest,
        name=opened.entry.name,
        bundle=sha256,
        workspace=workspace,
        num_new=num_new,
        written=(*written, *files),
        kept=kept,
        remote=remote,
        checkpoints=steps,
        notes=notes,
    )


@contextmanager
def _scratch(workspace: Path) -> Iterator[Path]:
    """Lend a folder on the disk of the workspace, so that files can be moved over."""
    place = workspace / ".codemix"
    while not place.is_dir():
        place = place.parent
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".codemix-import-", dir=place))
    except OSError as error:
        what = f"can't be written: {error.strerror or error}"
        raise InputError(what, file=str(place)) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _take_documents(
    opened: Opened, workspace: Path, sha256: str
) -> tuple[int, tuple[str, ...]]:
    ledger = Ledger.open(workspace)
    for name in opened.names:
        match = OBJECT.fullmatch(name)
        if match:
            _move(opened.folder / name, ledger.objects.path(match[2]))
    before = {line.digest for line in ledger.log()}
    left: set[str] = set()
    num_new = 0
    for line in opened.ledger.log():
        subject = subject_of(opened.ledger.read(line.digest))
        # A signature speaks of a place in the log where it was made, and of no other.
        if line.kind == "attestation" or subject in left:
            left.add(line.digest)
        elif line.digest not in before:
            ledger.append_bytes(opened.ledger.read_bytes(line.digest))
            num_new += 1
    _note_origin(ledger, opened, sha256)
    notes = [f"signed by key {key[:12]}, unknown here" for key in opened.unknown_keys]
    if left:
        notes.append(
            "signatures stay in the bundle, as they speak of its own log; those of "
            "trusted keys were checked"
        )
    return num_new, tuple(notes)


def _note_origin(ledger: Ledger, opened: Opened, sha256: str) -> None:
    note = f"{_NOTE}{sha256}"
    for line in ledger.log():
        if line.kind == "annotation":
            said = ledger.read(line.digest)
            if isinstance(said, Annotation) and said.note == note:
                return
    ledger.append(
        Annotation(
            name=opened.entry.name,
            subject=opened.digest,
            note=note,
            unix_ms=time.time_ns() // 10**6,
        )
    )


def _restore(
    opened: Opened, workspace: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put spec, lock and pins where they belong, unless something else is there."""
    name = opened.entry.name
    spec = opened.folder / "spec"
    wanted = {
        f"{name}.yaml": (spec / f"{name}.yaml").read_bytes(),
        f"{name}.lock": (spec / f"{name}.lock").read_bytes(),
    }
    objects = Ledger.open(workspace).objects
    lock = Lock.model_validate(objects.get_json(opened.entry.lock))
    written, kept = [], []
    pins = pins_of(lock)
    store = DvcStore(workspace)
    for path, data in pins.items():
        tracked = store.find(path)
        if tracked is None or tracked.md5 is None:
            wanted[f"{path}.dvc"] = data
        elif f"md5: {tracked.md5}\n" not in data.decode():
            kept.append(f"{path}.dvc")
    for path, data in wanted.items():
        target = workspace / path
        if not _is_inside(target, workspace):
            kept.append(path)
        elif not target.exists():
            write_atomically(target, data)
            if path.endswith(".dvc"):
                _ignore(target.with_suffix(""))
            written.append(path)
        elif target.read_bytes() != data:
            kept.append(path)
    return tuple(written), tuple(kept)


def _is_inside(target: Path, workspace: Path) -> bool:
    """Tell whether no link on the way leads out of the workspace."""
    return target.resolve().is_relative_to(workspace.resolve())


def _ignore(path: Path) -> None:
    """Keep data out of git, as DVC does."""
    ignored = path.parent / ".gitignore"
    text = ignored.read_text("utf-8") if ignored.exists() else ""
    line = f"/{path.name}"
    if line not in text.splitlines():
        ends = "" if not text or text.endswith("\n") else "\n"
        write_atomically(ignored, f"{text}{ends}{line}\n".encode())


def _add_remote(opened: Opened, workspace: Path) -> str | None:
    if has_remote(workspace) or REMOTES not in opened.names:
        return None
    name, settings = _remote_of((opened.folder / REMOTES).read_bytes())
    if name is None:
        return None
    DvcStore(workspace).add_remote(name, settings)
    return settings["url"]


def _remote_of(data: bytes) -> tuple[str | None, dict[str, str]]:
    """Pick the remote to add: the default one, or the only one."""
    try:
        said: Any = json.loads(data)
        remotes = dict(said["remotes"])
        name = said["default"] or (next(iter(remotes)) if len(remotes) == 1 else None)
        settings = {
            key: public_address(str(remotes[name][key]))
            for key in PUBLIC
            if name is not None and key in remotes[name]
        }
    except (ValueError, KeyError, TypeError):
        return None, {}
    is_plain = (
        isinstance(name, str) and name.replace("-", "").replace("_", "").isalnum()
    )
    return (name, settings) if is_plain and "url" in settings else (None, {})


def _take_checkpoints(opened: Opened, workspace: Path) -> tuple[int, ...]:
    target = checkpoint_folder(workspace, opened.entry)
    if target is None or not _is_inside(target, workspace):
        return ()
    steps = []
    found = [match for name in opened.names if (match := CHECKPOINT.fullmatch(name))]
    # The manifest comes last: without it a checkpoint does not exist.
    for match in sorted(found, key=lambda one: (one[1], one[2] == "manifest.json")):
        if match[2] == "manifest.json":
            steps.append(int(match[1]))
        _move(opened.folder / match[0], target / match[1] / match[2])
    return tuple(steps)


def _move(source: Path, target: Path) -> None:
    """Move a file that is on the same disk into place, durably."""
    if target.exists() and file_digest(target) == file_digest(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.chmod(0o644)
    source.replace(target)
    sync_folder(target.parent)
