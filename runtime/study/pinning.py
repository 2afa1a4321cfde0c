"""Pinning and preparing what a study needs, each input once for all its experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runtime.amendment import check_prefix_data
from runtime.benchmarks import Declare, check_declared, with_digests
from runtime.fetch import fetch_missing
from runtime.inputs import Input, inputs_of
from runtime.pin import pin_inputs
from runtime.prepare import prepare
from runtime.progress import Listener
from runtime.study.places import kept_locks, spec_of
from specs.benchmarks import NO_BENCHMARKS, Benchmarks
from specs.canonical import digest_of
from specs.costs import check_epochs
from specs.errors import InputError, Problem
from specs.loading import lock_path, save_lock
from specs.lock import Lock, LockedInput
from specs.study_graph import Member
from specs.version import VERSION

Group = tuple[Input, ...]
"""The locations of a source, or one other input."""


def ready_locks(
    members: Sequence[Member],
    folder: Path,
    workspace: Path,
    declare: Declare,
    progress: Listener,
) -> dict[str, Lock]:
    """Pin and prepare all experiments of a study; what is done already is kept.

    Locks that are there are never changed silently: bytes that differ are an error.

    Args:
        members: The experiments.
        folder: Of the study; their locks are written there.
        workspace: The folder that holds `.dvc/`.
        declare: Tells the benchmarks that an experiment asks for.
        progress: Told how far it is.

    Returns:
        Name of the experiment -> its lock, with all token stores.

    Raises:
        SpecError: A source is gone through too often.
        InputError: Data is missing, corrupt or not what a lock says.
    """
    asked = {one.name: declare(one.experiment, workspace) for one in members}
    kept = kept_locks(members, folder)
    locks = _pinned(members, kept, asked, workspace, progress)
    for member in members:
        path = lock_path(spec_of(folder, member.name))
        lock = locks[member.name]
        # What would have to be pinned again is what has the lock.
        own = spec_of(folder, member.name)
        shown = member.path if lock_path(member.path).exists() else own
        check_declared(asked[member.name], lock.benchmarks, str(shown))
        check_prefix_data(member.experiment, lock, workspace)
        if member.name not in kept or kept[member.name] != lock or not path.exists():
            save_lock(lock, path)
    _fetch(locks.values(), workspace, progress)
    for member in members:
        plan, lock = member.plan, locks[member.name]
        lock = prepare(member.experiment, plan, lock, workspace, progress=progress)
        check_epochs(plan, lock)
        if lock != locks[member.name]:
            save_lock(lock, lock_path(spec_of(folder, member.name)))
        locks[member.name] = lock
    return locks


def _pinned(
    members: Sequence[Member],
    kept: Mapping[str, Lock],
    asked: Mapping[str, Benchmarks],
    workspace: Path,
    progress: Listener,
) -> dict[str, Lock]:
    """Return locks that pin everything; only what no lock has is pinned now."""
    wanted: dict[str, tuple[Input, ...]] = {}
    missing: dict[Group, None] = {}
    for member in members:
        inputs = inputs_of(member.experiment, asked[member.name])
        wanted[member.name] = inputs
        lock = kept.get(member.name)
        groups = _groups(one for one in inputs if not _has(lock, one))
        missing |= dict.fromkeys(groups)
    found: dict[Input, LockedInput] = {}
    problems: list[Problem] = []
    for group in _rounds(list(missing)):
        try:
            locked, _ = pin_inputs(group, NO_BENCHMARKS, workspace, progress)
        except InputError as error:
            problems += error.problems
        else:
            found |= {one: locked[one.key] for one in group}
    if problems:
        raise InputError(problems)
    return {
        member.name: _lock(
            wanted[member.name],
            kept.get(member.name),
            found,
            asked[member.name],
            workspace,
        )
        for member in members
    }


def _has(lock: Lock | None, wanted: Input) -> bool:
    pinned = lock.inputs.get(wanted.key) if lock is not None else None
    return pinned is not None and pinned.uri == wanted.uri


def _groups(inputs: Iterable[Input]) -> list[Group]:
    """Put the locations of a source together, and leave every other input alone."""
    groups: dict[str, list[Input]] = {}
    for one in inputs:
        groups.setdefault(_name_of(one), []).append(one)
    return [tuple(group) for group in groups.values()]


def _rounds(groups: Iterable[Group]) -> list[list[Input]]:
    """Share inputs out so that each name means one thing in each round."""
    rounds: list[dict[str, Group]] = []
    for group in groups:
        name = _name_of(group[0])
        place = next((some for some in rounds if name not in some), None)
        if place is None:
            place = {}
            rounds.append(place)
        place[name] = group
    return [[one for group in some.values() for one in group] for some in rounds]


def _name_of(one: Input) -> str:
    """Return `sources.NAME`, also of a source's second location.

    >>> _name_of(Input("sources.web.1", "data/b.jsonl", "auto"))
    'sources.web'
    """
    return ".".join(one.key.split(".")[:2])


def _lock(
    wanted: Sequence[Input],
    kept: Lock | None,
    found: Mapping[Input, LockedInput],
    asked: Benchmarks,
    workspace: Path,
) -> Lock:
    inputs = {
        one.key: kept.inputs[one.key] if kept and _has(kept, one) else found[one]
        for one in wanted
    }
    if kept is not None and kept.inputs == inputs:
        return kept
    files = {key: workspace / one.files[0].path for key, one in inputs.items()}
    benchmarks = with_digests(asked, files)
    return Lock(lock=1, codemix=VERSION, inputs=inputs, benchmarks=benchmarks)


def _fetch(locks: Iterable[Lock], workspace: Path, progress: Listener) -> None:
    """Bring missing files here, those of the same inputs once."""
    problems: list[Problem] = []
    for lock in {digest_of(one.to_json()["inputs"]): one for one in locks}.values():
        try:
            fetch_missing(lock, workspace, progress)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
