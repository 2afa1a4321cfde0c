"""Doing the jobs of deduplication: what is missing, how far it is, what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.deduplication.task import Job, files_of
from runtime.engines import Workers
from runtime.progress import Listener, Progress
from runtime.watched import WatchedFiles
from runtime.workers import Done, Event, Failed
from specs.errors import InputError, Problem

MAX_PROBLEMS = 10


class Work:
    """Hands jobs to workers."""

    def __init__(self, workers: Workers, watched: WatchedFiles, progress: Listener):
        """Take who works, and who is told.

        Args:
            workers: Do the jobs.
            watched: The pinned files, watched since before their bytes were checked.
            progress: Told how far it is.
        """
        self.watched = watched
        self._workers = workers
        self._progress = progress

    def do(
        self,
        task: str,
        jobs: list[Job],
        sizes: list[int] | None = None,
        keep: Callable[[int, Any], None] = lambda place, answer: None,
    ) -> None:
        """Do jobs.

        Args:
            task: What is being done, for people.
            jobs: In any order.
            sizes: Bytes that each reads, or documents that it compares, as it reports
                them; null: all take about as long.
            keep: Told place and answer of each job that is done on pinned bytes.

        Raises:
            InputError: With the first problems, of documents or of files that changed
                meanwhile; what is done is kept.
        """
        meter = _Meter(task, sizes or [1] * len(jobs), self._progress)
        problems: list[Problem] = []
        for event in self._workers.run([job.to_json() for job in jobs]):
            meter.hear(event)
            if isinstance(event, Failed):
                problems += event.problems
                if len(problems) >= MAX_PROBLEMS:
                    break
            elif isinstance(event, Done):
                changes = self.watched.changes(files_of(jobs[event.job]))
                problems += changes
                if not changes:
                    keep(event.job, event.answer)
        if problems:
            problems = sorted(
                set(problems), key=lambda one: (one.file or "", one.line or 0)
            )
            raise InputError(problems[:MAX_PROBLEMS])


class _Meter:
    """Adds up how far the jobs of one task are."""

    def __init__(self, task: str, sizes: list[int], progress: Listener):
        self._task = task
        self._sizes = sizes
        self._done = [0] * len(sizes)
        self._progress = progress

    def hear(self, event: Event) -> None:
        size = self._sizes[event.job]
        # Text may be larger than the compressed file that it comes from.
        moved = size if isinstance(event, Done | Failed) else event.done_bytes
        self._done[event.job] = min(size, moved)
        self._progress(
            Progress(
                task=self._task,
                done_bytes=sum(self._done),
                total_bytes=sum(self._sizes),
            )
        )
