"""Where deduplication keeps its files in the workspace.

    .codemix/dedup/sketches/SKETCH/00000.sketch   per shard, for any rule alike
    .codemix/dedup/SOURCE/00000.drops             per shard, read by `prepare`
    .codemix/dedup/SOURCE/report.json             of the last source of a rule
    .codemix/dedup/SOURCE/unfinished              until that is there

SKETCH and SOURCE are digests of what determines the bytes. All of it may be deleted at
any time; what a store still needs is made again.
"""

from __future__ import annotations

from pathlib import Path

from runtime.deduplication.report import Deduplicated
from runtime.store_identity import deduplication_identity, sketch_identity
from specs.lock import Lock
from specs.plan import Plan

REPORT = "report.json"
DONE = "done.json"
UNFINISHED = "unfinished"


def drops_folder(name: str, plan: Plan, lock: Lock, workspace: Path) -> Path:
    """Return where the drops of a source are."""
    return _top(workspace) / deduplication_identity(name, plan, lock)


def drops_path(folder: Path, shard: int) -> Path:
    """Return the file of the drops of one shard."""
    return folder / f"{shard:05d}.drops"


def sketch_path(name: str, shard: int, plan: Plan, lock: Lock, workspace: Path) -> Path:
    """Return the file of the sketch of one shard."""
    folder = _top(workspace) / "sketches" / sketch_identity(name, plan, lock)
    return folder / f"{shard:05d}.sketch"


def report_path(plan: Plan, lock: Lock, workspace: Path) -> Path:
    """Return where the report of a rule is."""
    assert plan.deduplicate is not None
    last = plan.deduplicate.sources[-1]
    return drops_folder(last, plan, lock, workspace) / REPORT


def read_report(plan: Plan, lock: Lock, workspace: Path) -> Deduplicated | None:
    """Return what was done; None without a rule, or where the report is gone."""
    if plan.deduplicate is None:
        return None
    try:
        text = report_path(plan, lock, workspace).read_bytes()
    except FileNotFoundError:
        return None
    return Deduplicated.model_validate_json(text)


def is_deduplicated(plan: Plan, lock: Lock, workspace: Path) -> bool:
    """Tell whether everything that a plan's rule decides is there."""
    assert plan.deduplicate is not None
    folders = [
        drops_folder(name, plan, lock, workspace) for name in plan.deduplicate.sources
    ]
    return report_path(plan, lock, workspace).is_file() and all(
        (folder / DONE).is_file() for folder in folders
    )


def _top(workspace: Path) -> Path:
    return workspace / ".codemix" / "dedup"
