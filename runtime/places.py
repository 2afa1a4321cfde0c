"""Where in a workspace a run keeps what is its own."""

from __future__ import annotations

from pathlib import Path

from runtime.storage import is_bucket
from specs.experiment import Checkpoints


def run_folder(workspace: Path, identity: str) -> Path:
    """Return the folder of a run: its journal and its checkpoints."""
    return workspace / ".codemix" / "runs" / identity[:16]


def checkpoint_location(
    workspace: Path, identity: str, policy: Checkpoints
) -> Path | str:
    """Return where the checkpoints of a run lie."""
    if policy.location is None:
        return run_folder(workspace, identity) / "checkpoints"
    if is_bucket(policy.location):
        return f"{policy.location.rstrip('/')}/{identity[:16]}"
    return workspace / policy.location / identity[:16]
