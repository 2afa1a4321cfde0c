"""Scanning all sources of a spec: shards in worker processes, findings kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.contamination.jobs import (
    ScanJob,
    SourceJobs,
    plan_scan,
    results_folder,
)
from evals.contamination.needles import QuestionIndex
from evals.contamination.results import read_findings, write_index
from evals.contamination.scan import Findings
from runtime.progress import Listener, Progress
from runtime.workers import Done, Event, Failed, WorkerPool
from specs.errors import InputError, Problem
from specs.lock import Lock
from specs.plan import Plan

BYTES_PER_WORKER = 32 * 2**20
"""A worker takes seconds to start and to index the questions, so a further one must
have this much text to scan."""

MAX_PROBLEMS = 10


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Where the findings of every shard are, after all were scanned."""

    index: QuestionIndex
    sources: tuple[SourceJobs, ...]

    def findings(self, source: SourceJobs) -> Iterator[tuple[int, Findings]]:
        """Yield the findings of each shard of a source, one at a time."""
        for shard, job in enumerate(source.jobs):
            found = read_findings(job.path)
            if found is None:
                raise InputError(
                    "the findings of a shard are gone",
                    path=f"sources.{source.source}",
                    fix="run the command again",
                )
            yield shard, found


def scan_sources(
    index: QuestionIndex,
    plan: Plan,
    lock: Lock,
    workspace: Path,
    *,
    num_workers: int | None,
    progress: Listener,
) -> Scan:
    """Scan the shards that were not scanned for this index before.

    Raises:
        InputError: A source is neither prepared nor pinned, or its documents are
            corrupt; what is done is kept.
    """
    sources = plan_scan(index, plan, lock, workspace)
    jobs = [job for source in sources for job in source.jobs]
    write_index(results_folder(workspace, index.digest), index)
    missing = [job for job in jobs if read_findings(job.path) is None]
    if missing:
        num_bytes = sum(job.num_bytes for job in missing)
        workers = min(num_workers or _default_num_workers(num_bytes), len(missing))
        _run(missing, workers, _Meter(jobs, missing, progress))
    return Scan(index=index, sources=sources)


def _run(jobs: Sequence[ScanJob], num_workers: int, meter: _Meter) -> None:
    problems: list[Problem] = []
    module = "evals.contamination.scan_task"
    with WorkerPool(module, num_workers=num_workers, environ={}) as pool:
        for event in pool.run([job.to_json() for job in jobs]):
            meter.hear(event)
            if isinstance(event, Failed):
                problems += event.problems
                if len(problems) >= MAX_PROBLEMS:
                    break
    if problems:
        problems.sort(key=lambda problem: (problem.file or "", problem.line or 0))
        raise InputError(problems[:MAX_PROBLEMS])


class _Meter:
    """Adds up how far the jobs are, in bytes of text."""

    def __init__(
        self, jobs: Sequence[ScanJob], missing: Sequence[ScanJob], progress: Listener
    ):
        self._total = sum(job.num_bytes for job in jobs)
        self._before = self._total - sum(job.num_bytes for job in missing)
        self._jobs = missing
        self._done = [0] * len(missing)
        self._progress = progress

    def hear(self, event: Event) -> None:
        job = self._jobs[event.job]
        # Text may be larger than the compressed file that it comes from.
        moved = job.num_bytes if isinstance(event, Done | Failed) else event.done_bytes
        self._done[event.job] = min(job.num_bytes, moved)
        self._progress(
            Progress(
                task="look for questions",
                done_bytes=self._before + sum(self._done),
                total_bytes=self._total,
            )
        )


def _default_num_workers(num_bytes: int) -> int:
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, num_bytes // BYTES_PER_WORKER))
