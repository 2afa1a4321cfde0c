"""The funnels of a spec's sources, read from beside their token stores.

A store that was made by a version without funnels gets its one by reading the pinned
files once more, without tokenising what was kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from runtime.choices import restore_choices
from runtime.funnel import Funnel, agrees, funnel_path
from runtime.prepare import builders_of
from runtime.progress import Listener, ignore_progress
from runtime.shard_meter import ShardMeter
from runtime.store_builder import (
    MAX_PROBLEMS,
    StoreBuilder,
    default_num_workers,
)
from runtime.store_identity import store_folder
from runtime.token_store import read_manifest
from runtime.workers import Done, Failed, WorkerPool
from specs.errors import InputError, Problem
from specs.lock import Lock
from specs.plan import Plan

PREPARE = "codemix prepare SPEC"


def open_funnels(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    sources: Sequence[str] = (),
    progress: Listener = ignore_progress,
) -> dict[str, Funnel]:
    """Return the funnels of sources, by name.

    Args:
        plan: The plan.
        lock: Its lock, with stores.
        workspace: The folder that holds `.dvc/`.
        sources: Which sources; all if empty.
        progress: Told how far it is, where files have to be read again.

    Raises:
        InputError: With every source that is not there or not prepared as the spec says
            now; or what is read again is not what was prepared.
    """
    builders = _prepared_builders(plan, lock, workspace, sources)
    funnels = {builder.name: _kept_funnel(builder) for builder in builders}
    missing = [builder for builder in builders if funnels[builder.name] is None]
    if missing:
        _read_again(missing, progress)
        funnels |= {builder.name: _kept_funnel(builder) for builder in missing}
    problems = [
        Problem(
            path=f"sources.{name}",
            what="what is in its files now is not what was prepared",
            fix="codemix pin SPEC, then codemix prepare SPEC",
        )
        for name, funnel in funnels.items()
        if funnel is None
    ]
    if problems:
        raise InputError(problems)
    return {name: funnel for name, funnel in funnels.items() if funnel is not None}


def prepared_builder(
    plan: Plan, lock: Lock, workspace: Path, source: str
) -> StoreBuilder:
    """Return what made the token store of one source.

    Raises:
        InputError: There is no such source, or it is not prepared.
    """
    (builder,) = _prepared_builders(plan, lock, workspace, [source])
    return builder


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    """Say which name was meant, or which there are."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"name one of {', '.join(names)}"


def _prepared_builders(
    plan: Plan, lock: Lock, workspace: Path, sources: Sequence[str]
) -> list[StoreBuilder]:
    known = sorted(plan.sources)
    problems = [
        Problem(
            what=f"there is no source {name!r}",
            fix=_did_you_mean(name, known),
        )
        for name in sources
        if name not in plan.sources
    ]
    if problems:
        raise InputError(problems)
    if lock.tokenizer_sha256 is None:
        raise InputError("is not prepared: the lock has no tokenizer", fix=PREPARE)
    builders = builders_of(plan, lock, workspace, lock.tokenizer_sha256)
    chosen = [one for one in builders if one.name in (sources or known)]
    for builder in chosen:
        problems += _unprepared(builder, lock, workspace)
    if problems:
        raise InputError(problems)
    return chosen


def _unprepared(builder: StoreBuilder, lock: Lock, workspace: Path) -> list[Problem]:
    """Say what is wrong with the store of a source."""
    place = f"sources.{builder.name}"
    store = lock.stores.get(builder.name)
    if store is None:
        what = "is not prepared: the lock has no store of it"
        return [Problem(path=place, what=what, fix=PREPARE)]
    if store.identity != builder.identity:
        what = "the spec has changed since it was prepared"
        return [Problem(path=place, what=what, fix=PREPARE)]
    try:
        read_manifest(store_folder(workspace, store.identity))
    except InputError as error:
        return list(error.problems)
    return []


def _kept_funnel(builder: StoreBuilder) -> Funnel | None:
    """Return the funnel beside a store if there is one that belongs to it."""
    path = funnel_path(builder.workspace, builder.identity)
    try:
        funnel = Funnel.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return funnel if agrees(funnel, read_manifest(builder.folder)) else None


def _read_again(builders: list[StoreBuilder], progress: Listener) -> None:
    """Make the funnels of stores from the pinned files.

    Raises:
        InputError: With the files that are not here.
    """
    _check_files(builders)
    plan, lock, workspace = builders[0].plan, builders[0].lock, builders[0].workspace
    # Whoever needs room may have deleted what was counted.
    for one in builders_of(plan, lock, workspace, builders[0].tokenizer_sha256):
        if one.is_complete:
            choices = read_manifest(one.folder).choices
            restore_choices(one.name, plan, lock, workspace, choices)
    jobs = [(builder, job) for builder in builders for job in builder.jobs()]
    parts: dict[str, dict[int, str]] = {builder.name: {} for builder in builders}
    sizes = {builder.name: builder.num_input_bytes for builder in builders}
    meter = ShardMeter("read", [job for _, job in jobs], sizes, progress)
    num_workers = default_num_workers(sum(one.num_input_bytes for one in builders))
    problems: list[Problem] = []
    with WorkerPool("runtime.funnel_task", num_workers=num_workers, environ={}) as pool:
        for event in pool.run([job.to_json() for _, job in jobs]):
            meter.hear(event)
            builder, job = jobs[event.job]
            if isinstance(event, Failed):
                problems += event.problems
            elif isinstance(event, Done):
                parts[builder.name][job.shard] = event.answer["funnel"]
    if problems:
        raise InputError(problems)
    for builder in builders:
        in_order = [part for _, part in sorted(parts[builder.name].items())]
        builder.keep_funnel(read_manifest(builder.folder), list(in_order))


def _check_files(builders: list[StoreBuilder]) -> None:
    # Those of a store that was made elsewhere may never have been here.
    problems = [
        Problem(
            file=file,
            what=f"is missing, and the funnel of {builder.name} is made by reading it",
            fix="codemix pin SPEC tells how to get it back",
        )
        for builder in builders
        for file in builder.files
        if not (builder.workspace / file).is_file()
    ]
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
