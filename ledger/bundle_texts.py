"""Files of a bundle that follow from the entry alone: spec, lock, pins, requirements.

Whoever opens a bundle makes them anew and compares, so none of them can be forged.
Their bytes are part of the format and never change within it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from ledger.bundle_layout import (
    REQUIREMENTS,
    RESOLVED,
    SPEC_NAME,
    is_workspace_path,
)
from ledger.dvc_remotes import public_address
from ledger.entry import Entry
from ledger.objects import ObjectStore
from specs.canonical import canonical_json
from specs.errors import CodemixError, InputError
from specs.experiment import experiment_digest
from specs.loading import load_experiment
from specs.lock import Lock, LockedInput

_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+")
_FROM_THE_WEB = re.compile(r"https?://", re.IGNORECASE)


def texts_of(entry: Entry, objects: ObjectStore) -> dict[str, bytes]:
    """Make the files that follow from an entry, all but the spec's.

    Args:
        entry: The run.
        objects: Hold its lock.

    Returns:
        Name in the bundle -> bytes.

    Raises:
        CheckFailed: An object was changed.
        InputError: A path leads out of the workspace, or an object is missing.
    """
    raw_lock = objects.get(entry.lock)
    lock = Lock.model_validate_json(raw_lock)
    return {
        # As `specs.loading.save_lock` writes it.
        f"spec/{spec_name(entry)}.lock": _indented(json.loads(raw_lock)),
        RESOLVED: canonical_json(entry.spec) + b"\n",
        REQUIREMENTS: _requirements(entry),
        **{f"pins/{path}.dvc": data for path, data in pins_of(lock).items()},
    }


def spec_file(entry: Entry, raw: bytes) -> bytes:
    """Return the spec as its author wrote it, if it means the same without its parents.

    One that `extends:` another file, or holds a `matrix:`, is written out instead.
    """
    with tempfile.TemporaryDirectory(prefix="codemix-") as folder:
        path = Path(folder) / "spec.yaml"
        path.write_bytes(raw)
        try:
            digest = experiment_digest(load_experiment(path))
        except CodemixError:
            digest = ""
    return raw if digest == entry.spec_digest else written_out(entry)


def written_out(entry: Entry) -> bytes:
    """Return the resolved spec as a spec file."""
    return _indented(entry.spec)


def spec_name(entry: Entry) -> str:
    """Return what the spec's file is called, without its ending."""
    if not SPEC_NAME.fullmatch(entry.name) or len(entry.name) > 128:
        raise InputError(f"no experiment can be called {entry.name!r}")
    return entry.name


def pins_of(lock: Lock) -> dict[str, bytes]:
    """Make a `.dvc` file for all that a lock pins.

    They are made from the lock, not copied: the workspace may have gone on.

    Returns:
        Path of the output, relative to the workspace -> bytes of its `.dvc` file.

    Raises:
        InputError: A path leads out of the workspace.
    """
    pins: dict[str, bytes] = {}
    for pinned in lock.inputs.values():
        pins.update(_pins_of(pinned))
    for path in pins:
        if not is_workspace_path(path):
            raise InputError(f"the lock pins {path!r}, which is no place for data")
    return dict(sorted(pins.items()))


def _pins_of(pinned: LockedInput) -> dict[str, bytes]:
    if pinned.dvc_hash.endswith(".dir"):
        is_file = pinned.dvc.endswith(".dvc")
        path = pinned.dvc.removesuffix(".dvc") if is_file else pinned.uri
        return {os.path.normpath(path): _pin(path, pinned.dvc_hash)}
    url = pinned.uri if _FROM_THE_WEB.match(pinned.uri) else None
    return {
        file.path: _pin(file.path, file.dvc_hash, num_bytes=file.bytes, url=url)
        for file in pinned.files
        if file.dvc_hash is not None
    }


def _pin(
    path: str, dvc_hash: str, *, num_bytes: int | None = None, url: str | None = None
) -> bytes:
    lines = []
    if url is not None:
        shown = json.dumps(public_address(url), ensure_ascii=False)
        lines += ["frozen: true", "deps:", f"- path: {shown}"]
    lines += ["outs:", f"- md5: {dvc_hash.removeprefix('md5:')}"]
    if num_bytes is not None:
        lines.append(f"  size: {num_bytes}")
    name = json.dumps(PurePosixPath(path).name, ensure_ascii=False)
    lines += ["  hash: md5", f"  path: {name}"]
    return "".join(f"{line}\n" for line in lines).encode()


def _indented(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _requirements(entry: Entry) -> bytes:
    found = entry.environment.distributions
    lines = [f"{name}=={one.version}" for name, one in sorted(found.items())]
    kept = [line for line in lines if _REQUIREMENT.fullmatch(line)]
    return "".join(f"{line}\n" for line in kept).encode()
