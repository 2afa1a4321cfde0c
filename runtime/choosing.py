"""Counting the values of fields in worker processes, for the filters `top_values`.

Shard in, counts out, added up: the result is the same for any number of workers. A
finished shard is kept, so a counting that was killed goes on where it stopped. One
filter may stand behind another, so counting goes in rounds: the first filter of each
source that has no choice yet.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.choices import (
    choice_identity,
    choice_path,
    load_choice,
    reason_of,
    top_values_of,
    with_choices,
)
from runtime.engines import LOCAL, Engine
from runtime.folder_lock import folder_lock
from runtime.progress import Listener, Progress, ignore_progress
from runtime.shards import plan_shards
from runtime.store_builder import MAX_PROBLEMS, default_num_workers
from runtime.value_counts import MAX_VALUES, Choice, most_frequent
from runtime.value_counts_task import CountJob, ShardCounts, too_many_values
from runtime.watched import WatchedFiles
from runtime.workers import Done, Event, Failed
from specs.atomic import write_atomically
from specs.canonical import canonical_json
from specs.errors import InputError, Problem
from specs.lock import Lock, LockedInput
from specs.plan import Plan, PlannedSource


@dataclass(frozen=True, kw_only=True)
class _Count:
    """One filter whose values are to be counted."""

    source: str
    index: int
    identity: str
    planned: PlannedSource
    """With the filters before this one alone, and what those chose."""
    pinned: LockedInput
    field: str
    num_values: int
    workspace: Path

    @property
    def place(self) -> str:
        """Where the spec has the filter."""
        return f"sources.{self.source}.filters.{self.index}"

    @property
    def path(self) -> Path:
        """Where the choice goes."""
        return choice_path(self.workspace, self.identity)

    def jobs(self) -> list[CountJob]:
        """Return a job for every shard."""
        shards = plan_shards(self.pinned.files, self.planned.format)
        return [
            CountJob(
                place=self.place,
                field=self.field,
                planned=self.planned,
                files=tuple(file.path for file in self.pinned.files),
                ranges=ranges,
                num_bytes=self.pinned.num_bytes // len(shards),
                workspace=str(self.workspace),
                path=str(self.path.with_suffix("") / f"{shard:05d}.json"),
            )
            for shard, ranges in enumerate(shards)
        ]


def make_choices(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    watched: WatchedFiles,
    num_workers: int | None = None,
    progress: Listener = ignore_progress,
    engine: Engine = LOCAL,
) -> None:
    """Count what the filters `top_values` need and nobody has counted yet.

    Args:
        plan: The plan.
        lock: Its lock, whose bytes were checked.
        workspace: The folder that holds `.dvc/`.
        watched: Its files, since before they were checked.
        num_workers: Worker processes; None chooses by bytes.
        progress: Told how far it is.
        engine: Who does the work.

    Raises:
        InputError: Documents are corrupt, a field tells documents apart and not kinds,
            nothing has a value, or a file has changed; what is counted is kept.
    """
    while counts := _next_counts(plan, lock, workspace):
        with ExitStack() as stack:
            # In one order, so that two processes can't wait for each other.
            for count in counts:
                stack.enter_context(folder_lock(count.path.with_suffix("")))
            # Another process may have counted some while we waited.
            missing = [
                one for one in counts if load_choice(workspace, one.identity) is None
            ]
            if missing:
                _run(missing, watched, num_workers, progress, engine)


def _next_counts(plan: Plan, lock: Lock, workspace: Path) -> list[_Count]:
    """Return the first filter of each source that has not chosen, by identity."""
    found: dict[str, _Count] = {}
    for name in sorted(plan.sources):
        pinned = lock.pinned(plan.input_of(name))
        count = _next_count(name, plan.sources[name], pinned, workspace)
        if count is not None:
            found.setdefault(count.identity, count)
    return [found[identity] for identity in sorted(found)]


def _next_count(
    name: str, planned: PlannedSource, pinned: LockedInput, workspace: Path
) -> _Count | None:
    choices: dict[str, Choice] = {}
    for index, rule in top_values_of(planned):
        identity = choice_identity(planned, pinned, index)
        choice = load_choice(workspace, identity)
        if choice is None:
            before = canonical_json(json.loads(planned.filters)[:index]).decode()
            return _Count(
                source=name,
                index=index,
                identity=identity,
                planned=with_choices(
                    planned.model_copy(update={"filters": before}), choices
                ),
                pinned=pinned,
                field=rule["field"],
                num_values=rule["count"],
                workspace=workspace,
            )
        choices[reason_of(index)] = choice
    return None


def _run(
    counts: list[_Count],
    watched: WatchedFiles,
    num_workers: int | None,
    progress: Listener,
    engine: Engine,
) -> None:
    jobs = [job for count in counts for job in count.jobs()]
    missing = [job for job in jobs if read_counts(Path(job.path)) is None]
    if missing:
        num_bytes = sum(job.num_bytes for job in missing)
        workers = min(num_workers or default_num_workers(num_bytes), len(missing))
        meter = _Meter(missing, progress)
        problems: list[Problem] = []
        module = "runtime.value_counts_task"
        with engine.open(module, num_workers=workers, environ={}) as pool:
            for event in pool.run([job.to_json() for job in missing]):
                meter.hear(event)
                if isinstance(event, Failed):
                    problems += event.problems
                elif isinstance(event, Done):
                    problems += _keep(missing[event.job], event.answer, watched)
                if len(problems) >= MAX_PROBLEMS:
                    break
        if problems:
            problems.sort(key=lambda problem: (problem.file or "", problem.line or 0))
            raise InputError(list(dict.fromkeys(problems))[:MAX_PROBLEMS])
    for count in counts:
        _choose(count)


def _keep(job: CountJob, answer: Any, watched: WatchedFiles) -> list[Problem]:
    """Keep the counts of a shard, unless its files have changed."""
    changes = watched.changes(job.files[one.file] for one in job.ranges)
    if not changes:
        found = ShardCounts.model_validate(answer)
        write_atomically(Path(job.path), found.to_bytes())
    return changes


def read_counts(path: Path) -> ShardCounts | None:
    """Return the counts of a shard that an earlier counting finished."""
    try:
        return ShardCounts.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _choose(count: _Count) -> None:
    """Add up the shards and keep the choice; then they are not needed any more."""
    total: Counter[str] = Counter()
    documents = without = 0
    for job in count.jobs():
        found = read_counts(Path(job.path))
        if found is None:
            what, fix = "the counts of a shard are gone", "run the command again"
            raise InputError(what, file=job.path, fix=fix)
        total.update(found.counts)
        documents += found.documents
        without += found.without
        if len(total) > MAX_VALUES:
            raise InputError(too_many_values(count.place, count.field))
    if not total:
        raise InputError(
            f"none of {documents:,} documents has a value in {count.field!r}, so none "
            "would be kept",
            path=count.place,
            fix="correct the field, or what is before it in `where` and `filters`",
        )
    choice = Choice(
        field=count.field,
        num_values=len(total),
        documents=documents,
        without=without,
        values=most_frequent(total, count.num_values),
    )
    write_atomically(count.path, choice.to_bytes())
    shutil.rmtree(count.path.with_suffix(""), ignore_errors=True)


class _Meter:
    """Adds up how far the jobs are, in bytes of input."""

    def __init__(self, jobs: list[CountJob], progress: Listener):
        self._jobs = jobs
        self._done = [0] * len(jobs)
        self._documents = 0
        self._progress = progress

    def hear(self, event: Event) -> None:
        job = self._jobs[event.job]
        if isinstance(event, Done):
            self._documents += event.answer["read"]
        # Text may be larger than the compressed file that it comes from.
        moved = job.num_bytes if isinstance(event, Done | Failed) else event.done_bytes
        self._done[event.job] = min(job.num_bytes, moved)
        self._progress(
            Progress(
                task=f"count {job.field}",
                done_bytes=sum(self._done),
                total_bytes=sum(one.num_bytes for one in self._jobs),
                documents=self._documents,
            )
        )
