"""The jobs of deduplication, done in worker processes; see `runtime.worker_process`.

Each job is a pure function: files and numbers in, one file out.
"""

from __future__ import annotations

from typing import Any

from runtime.deduplication.compare import CompareJob, compare_clusters
from runtime.deduplication.groups import GroupJob, find_groups
from runtime.deduplication.shingle_files import ShinglesJob, write_shingles
from runtime.deduplication.sketch import SketchedShard, sketch_shard
from runtime.worker_process import Handler, Report
from specs.base import Value


class Job(Value):
    """One job of any kind."""

    sketch: SketchedShard | None = None
    groups: GroupJob | None = None
    shingles: ShinglesJob | None = None
    compare: CompareJob | None = None


def files_of(job: Job) -> set[str]:
    """Return the pinned files that a job reads, relative to the workspace."""
    shard = job.shingles.shard if job.shingles is not None else job.sketch
    if shard is None:
        return set()
    return {shard.files[one.file] for one in shard.ranges}


def do(job: Job, report: Report) -> Any:
    """Do a job and return its answer; null where the file says all.

    Raises:
        InputError: Rows are corrupt and the source does not skip those.
    """
    if job.sketch is not None:
        return sketch_shard(job.sketch, report).to_json()
    if job.groups is not None:
        find_groups(job.groups)
    elif job.shingles is not None:
        return write_shingles(job.shingles, report).to_json()
    elif job.compare is not None:
        compare_clusters(job.compare, report)
    return None


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> Any:
        return do(Job.model_validate(job), report)

    return handle
