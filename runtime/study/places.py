"""Where a study keeps what is its own, and the locks of its experiments.

    .codemix/studies/NAME/EXPERIMENT.yaml   one resolved experiment
    .codemix/studies/NAME/EXPERIMENT.lock   its lock

A spec of one experiment that is pinned already keeps its lock, which is copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from specs.loading import load_lock, lock_path
from specs.lock import Lock
from specs.study_graph import Member
from specs.study_identity import is_prepared


def study_folder(workspace: Path, name: str) -> Path:
    """Return the folder of a study."""
    return workspace / ".codemix" / "studies" / name


def spec_of(folder: Path, experiment: str) -> Path:
    """Return the spec file of one experiment of a study."""
    return folder / f"{experiment}.yaml"


def kept_locks(members: Iterable[Member], folder: Path) -> dict[str, Lock]:
    """Return the locks that are there, by name of the experiment.

    The lock beside the spec that people wrote counts first, if it is of one experiment.
    What a study has prepared of the same inputs is in its own lock.
    """
    members = list(members)
    num_of = Counter(member.path for member in members)
    found: dict[str, Lock] = {}
    for member in members:
        written, own = lock_path(member.path), lock_path(spec_of(folder, member.name))
        if own.exists():
            found[member.name] = load_lock(own)
        if num_of[member.path] == 1 and written.exists():
            lock = load_lock(written)
            kept = found.get(member.name)
            if kept is None or (kept.inputs, kept.benchmarks) != (
                lock.inputs,
                lock.benchmarks,
            ):
                found[member.name] = lock
    return found


def prepared_locks(members: Iterable[Member], folder: Path) -> dict[str, Lock] | None:
    """Return all locks by name, or None unless all experiments are prepared."""
    members = list(members)
    locks = kept_locks(members, folder)
    are_all = all(
        one.name in locks and is_prepared(one.plan, locks[one.name]) for one in members
    )
    return locks if are_all else None
