"""The checkpoints of a run that a bundle carries: plain files, never read whole.

How rows make a tensor is the runtime's to know, and checked when they are restored.
Here a manifest must name the very tensors that the entry does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from ledger.bundle_layout import CHECKPOINT, Member
from ledger.entry import Entry
from ledger.objects import ObjectStore
from specs.errors import CheckFailed, InputError, Problem

Which = Literal["none", "last", "all"]

MANIFEST = "manifest.json"


def checkpoint_folder(workspace: Path, entry: Entry) -> Path | None:
    """Return where the checkpoints of a run lie; null where that is a bucket."""
    settings = entry.spec.get("checkpoints")
    location = settings.get("location") if isinstance(settings, dict) else None
    if location is None:
        return workspace / ".codemix" / "runs" / entry.identity[:16] / "checkpoints"
    if "://" in str(location):
        return None
    return workspace / str(location) / entry.identity[:16]


def checkpoint_members(
    workspace: Path, entry: Entry, objects: ObjectStore, which: Which
) -> list[Member]:
    """List the files of the last checkpoint, or of all that are here.

    Raises:
        CheckFailed: A checkpoint is not the entry's.
        InputError: There is none here, or they are in a bucket.
    """
    if which == "none":
        return []
    folder = checkpoint_folder(workspace, entry)
    if folder is None:
        raise InputError(
            "the checkpoints of this run are in a bucket, which a bundle can't carry",
            fix="leave --checkpoints out, and let whoever needs them into the bucket",
        )
    recorded = {point.step for point in entry.checkpoints}
    here = {
        int(path.parent.name): path.parent
        for path in sorted(folder.glob(f"*/{MANIFEST}"))
        if path.parent.name.isdecimal() and int(path.parent.name) in recorded
    }
    if not here:
        raise InputError(
            "no checkpoint of this run is here",
            file=str(folder),
            fix="leave --checkpoints out, or export where the run was",
        )
    chosen = [max(here)] if which == "last" else sorted(here)
    members, problems = [], []
    for step in chosen:
        place = here[step]
        problems += manifest_problems(place / MANIFEST, step, entry, objects)
        for path in sorted(place.iterdir()):
            name = f"checkpoints/{place.name}/{path.name}"
            if CHECKPOINT.fullmatch(name):
                members.append(Member(name=name, content=path))
    if problems:
        raise CheckFailed(problems)
    return members


def manifest_problems(
    path: Path, step: int, entry: Entry, objects: ObjectStore
) -> list[Problem]:
    """Check that a checkpoint holds the tensors that the entry names."""
    points = [point for point in entry.checkpoints if point.step == step]
    said = _tensors(path)
    if not points or said is None or said != objects.get_json(points[0].tensors):
        what = f"the checkpoint after step {step} is not the entry's"
        return [Problem(what=what, file=path.name, path=path.parent.name)]
    return []


def _tensors(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())["manifest"]["tensors"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
