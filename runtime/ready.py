"""From a spec, or from a ledger entry, to everything that training needs on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ledger.entry import Entry
from ledger.store import Ledger
from runtime.amendment import check_prefix_data
from runtime.benchmarks import Declare, check_declared, nothing_declared
from runtime.deduplication.overlaps import FindOverlaps, overlaps_unknown
from runtime.fetch import fetch_missing
from runtime.permutation import Ints
from runtime.pin import pin
from runtime.pinned import absent_sources, check_pinned
from runtime.prepare import are_shared, prepare
from runtime.prepared import Prepared, open_prepared
from runtime.processes import Processes
from runtime.progress import Listener, ignore_progress
from runtime.token_rows import Tokens
from specs.costs import check_epochs
from specs.errors import InputError
from specs.experiment import Experiment
from specs.loading import (
    load_experiment,
    load_lock,
    lock_path,
    save_lock,
)
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.workspace import find_workspace


@dataclass(frozen=True, kw_only=True)
class Ready:
    """An experiment whose bytes are pinned, checked and tokenised."""

    experiment: Experiment
    raw_spec: str
    """Text of the spec file as its author wrote it."""
    plan: Plan
    lock: Lock
    workspace: Path
    """The folder that holds `.dvc/`."""
    prepared: Prepared

    def file_of(self, key: str) -> Path:
        """Return the one file of an input, named as in the lock."""
        return self.workspace / self.lock.inputs[key].files[0].path

    def batch(self, step: int, rows: Ints) -> Tokens:
        """Return B x (L + 1) tokens of a step; see `RowReader.read_some`."""
        prepared = self.prepared
        return prepared.reader.read_some(prepared.mixture.at(step), rows)

    def sources_of(self, step: int) -> dict[str, int]:
        """Return how many sequences of each source a step has."""
        order = self.prepared.mixture.at(step)
        counts = np.bincount(order.source_index, minlength=len(order.sources))
        return dict(zip(order.sources, counts.tolist(), strict=True))


def ready_together(
    processes: Processes, make: Callable[[], Ready], read: Callable[[str], Ready]
) -> Ready:
    """Let process 0 bring the data here, and the others open what it brought.

    Args:
        processes: They share the workspace.
        make: What process 0 does, such as `ready_spec`.
        read: What the others do, given the lock that process 0 came to, as JSON.

    Raises:
        InputError: The workspace is not shared.
    """
    made: list[Ready] = []

    def first() -> str:
        made.append(make())
        return made[0].lock.to_bytes().decode()

    text = processes.from_first("ready", first)
    return made[0] if made else read(text)


def read_spec(spec_path: Path) -> Ready:
    """Open what `ready_spec` has brought here; nothing is pinned or prepared.

    Raises:
        SpecError: The spec is wrong.
        InputError: The lock or a token store is not here.
    """
    experiment = load_experiment(spec_path)
    workspace = find_workspace(spec_path)
    lock = load_lock(lock_path(spec_path))
    return _opened(experiment, spec_path.read_text("utf-8"), lock, workspace)


def read_entry(entry: Entry, ledger: Ledger, workspace: Path, lock: Lock) -> Ready:
    """Open what `ready_entry` has brought here; nothing is prepared."""
    experiment = Experiment.model_validate(entry.spec)
    raw_spec = ledger.objects.get(entry.raw_spec).decode()
    return _opened(experiment, raw_spec, lock, workspace)


def ready_spec(
    spec_path: Path,
    *,
    declare: Declare = nothing_declared,
    find_overlaps: FindOverlaps = overlaps_unknown,
    progress: Listener = ignore_progress,
) -> Ready:
    """Check a spec and bring its data to where training can read it.

    A spec without a lock is pinned first. A lock that is there is never changed
    silently: what differs from it is an error.

    Args:
        spec_path: The spec.
        declare: Tells the benchmarks that it asks for.
        find_overlaps: Finds the documents that hold questions of benchmarks.
        progress: Told how far it is.

    Raises:
        SpecError: The spec is wrong, or goes over a source too often.
        InputError: The data is missing, corrupt, or not what the lock says.
    """
    experiment = load_experiment(spec_path)
    workspace = find_workspace(spec_path)
    path = lock_path(spec_path)
    declared = declare(experiment, workspace)
    if not path.exists():
        pin(spec_path, experiment, workspace, progress, declared)
    locked = load_lock(path)
    check_declared(declared, locked.benchmarks, str(spec_path))
    check_prefix_data(experiment, locked, workspace)
    found = _made_ready(
        experiment,
        spec_path.read_text("utf-8"),
        locked,
        workspace,
        progress,
        find_overlaps,
    )
    if found.lock != locked:
        save_lock(found.lock, path)
    return found


def ready_entry(
    entry: Entry,
    ledger: Ledger,
    workspace: Path,
    *,
    progress: Listener,
    find_overlaps: FindOverlaps = overlaps_unknown,
) -> Ready:
    """Bring the data of a ledger entry to where a replay can read it.

    The spec and the lock are the entry's own; the files beside them in the workspace
    are not looked at.

    Raises:
        CheckFailed: A document of the entry is not what the entry says.
        InputError: The data is missing or not what the entry's lock says.
    """
    experiment = Experiment.model_validate(entry.spec)
    raw_spec = ledger.objects.get(entry.raw_spec).decode()
    locked = Lock.model_validate_json(ledger.objects.get(entry.lock))
    found = _made_ready(
        experiment, raw_spec, locked, workspace, progress, find_overlaps
    )
    if found.plan.digest != entry.plan.sha256:
        raise InputError(
            "this codemix plans the entry's spec differently: "
            f"{found.plan.digest[:12]}, the entry has {entry.plan.sha256[:12]}",
            fix=f"install codemix {entry.code.codemix}, which made the entry",
        )
    return found


def _made_ready(
    experiment: Experiment,
    raw_spec: str,
    lock: Lock,
    workspace: Path,
    progress: Listener,
    find_overlaps: FindOverlaps,
) -> Ready:
    plan = plan_experiment(experiment)
    not_needed = set()
    if are_shared(experiment, plan, lock, workspace):
        # Tokens are read in place. What is here all the same is looked at as ever.
        not_needed = absent_sources(lock, workspace)
    inputs = {key: lock.inputs[key] for key in lock.inputs.keys() - not_needed}
    fetch_missing(lock.model_copy(update={"inputs": inputs}), workspace, progress)
    check_pinned(experiment, lock, workspace, progress, not_needed=not_needed)
    lock = prepare(
        experiment,
        plan,
        lock,
        workspace,
        progress=progress,
        find_overlaps=find_overlaps,
    )
    return _opened(experiment, raw_spec, lock, workspace)


def _opened(
    experiment: Experiment, raw_spec: str, lock: Lock, workspace: Path
) -> Ready:
    plan = plan_experiment(experiment)
    check_epochs(plan, lock)
    return Ready(
        experiment=experiment,
        raw_spec=raw_spec,
        plan=plan,
        lock=lock,
        workspace=workspace,
        prepared=open_prepared(plan, lock, workspace),
    )
