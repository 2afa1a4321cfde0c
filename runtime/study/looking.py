"""How far a study is: a row per job, and how long it may still take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ledger.objects import ObjectStore
from ledger.watching import RunWatch, Snapshot
from runtime.places import run_folder
from runtime.study.local import LocalJobs
from runtime.study.schedule import State
from specs.errors import InputError
from specs.study_jobs import Job


@dataclass(frozen=True, kw_only=True)
class Row:
    """A job at one moment."""

    job: str
    state: State
    is_kept: bool
    """Whether the ledger had it before this call."""
    reason: str
    stages: tuple[str, ...]
    """Names of the stages that it trains."""
    steps_done: int
    """Of its own."""
    num_steps: int
    loss: str | None = None
    left_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**vars(self), "stages": list(self.stages)}


@dataclass(frozen=True, kw_only=True)
class StudyLook:
    """A study at one moment."""

    rows: tuple[Row, ...]
    left_seconds: float | None
    """Of all jobs together, by the pace of this call; None: nothing tells it yet."""


class Looker:
    """Looks at the jobs of a study again and again."""

    def __init__(self, jobs: LocalJobs) -> None:
        self._jobs = jobs
        self._objects = ObjectStore(
            jobs.study.workspace / ".codemix" / "ledger" / "objects"
        )
        self._watches: dict[str, RunWatch] = {}
        self._start: tuple[float, float] | None = None

    def look(self) -> StudyLook:
        """Look once."""
        rows = tuple(self._rows())
        done = sum(self._done_flops(row) for row in rows)
        total = sum(
            self._jobs.study.jobs[row.job].flops
            for row in rows
            if row.state not in ("failed", "blocked") and not row.is_kept
        )
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done)
        since, before = self._start
        left = None
        if done > before:
            left = (now - since) / (done - before) * max(0.0, total - done)
        return StudyLook(rows=rows, left_seconds=left)

    def _rows(self) -> Iterator[Row]:
        for name, standing in self._jobs.schedule.standings.items():
            job = self._jobs.study.jobs[name]
            row = Row(
                job=name,
                state=standing.state,
                is_kept=standing.is_kept,
                reason=standing.reason,
                stages=tuple(
                    self._jobs.study.graph.nodes[one].stage for one in job.stages
                ),
                steps_done=job.num_steps if standing.state == "done" else 0,
                num_steps=job.num_steps,
            )
            yield self._watched(row, job) if standing.state == "running" else row

    def _watched(self, row: Row, job: Job) -> Row:
        seen = self._snapshot(job)
        if seen is None or not job.stages:
            return row
        start = self._jobs.study.graph.nodes[job.stages[0]].start_step
        done = min(max(0, seen.step - start), job.num_steps)
        left = None
        if seen.left_seconds is not None and seen.num_steps > seen.step:
            per_step = seen.left_seconds / (seen.num_steps - seen.step)
            left = per_step * (job.num_steps - done)
        return replace(row, steps_done=done, loss=seen.loss, left_seconds=left)

    def _snapshot(self, job: Job) -> Snapshot | None:
        identity = self._jobs.known[job.experiment].run
        journal = run_folder(self._jobs.study.workspace, identity) / "journal.jsonl"
        watch = self._watches.setdefault(identity, RunWatch(journal, self._objects))
        try:
            return watch.look()
        except InputError:
            return None  # It has not begun yet.

    def _done_flops(self, row: Row) -> float:
        if row.is_kept or not row.num_steps:
            return 0.0
        return self._jobs.study.jobs[row.job].flops * row.steps_done / row.num_steps
