"""Counting the values of a field in one shard; runs in worker processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from runtime.documents import Rows
from runtime.shards import RowRange
from runtime.source_reader import SourceReader, Tally
from runtime.value_counts import MAX_VALUE_CHARS, MAX_VALUES, text_of
from runtime.worker_process import Handler, Report
from specs.base import Value
from specs.errors import InputError, Problem
from specs.plan import PlannedSource


class CountJob(Value):
    """All that a worker needs to know to count one shard."""

    place: str
    """Of the filter in the spec, for messages."""
    field: str
    planned: PlannedSource
    """With the filters that stand before."""
    files: tuple[str, ...]
    """The source's files, relative to the workspace."""
    ranges: tuple[RowRange, ...]
    num_bytes: int
    """About how much of the files it is."""
    workspace: str
    path: str
    """Where the counts go."""


class ShardCounts(Value):
    """How often each value comes up in a shard."""

    counts: dict[str, int]
    """JSON of a value -> documents."""
    read: int
    """Documents that were read."""
    documents: int
    """Of them, those that came to the filter."""
    without: int
    """Of those, the ones without a value."""


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> Any:
        return count_shard(CountJob.model_validate(job), report).to_json()

    return handle


def count_shard(job: CountJob, report: Report) -> ShardCounts:
    """Count the values of one shard.

    Raises:
        InputError: Rows are corrupt and the source does not skip those, or the field
            has too many values, or too long ones.
    """
    reader = SourceReader(
        job.planned, Path(job.workspace), columns=frozenset({job.field})
    )
    ranges = [
        Rows(job.files[one.file], one.start_row, one.stop_row) for one in job.ranges
    ]
    counts: Counter[str] = Counter()
    tally = Tally()
    documents = without = done_bytes = 0
    for _, document in reader.passing(ranges, tally):
        text = text_of(document.fields.get(job.field))
        documents += 1
        done_bytes += len(document.text)
        report(done_bytes)
        if text is None:
            without += 1
            continue
        counts[text] += 1
        if len(counts) > MAX_VALUES or len(text) > MAX_VALUE_CHARS:
            raise InputError(too_many_values(job.place, job.field))
    return ShardCounts(
        counts=dict(sorted(counts.items())),
        read=tally.read,
        documents=documents,
        without=without,
    )


def too_many_values(place: str, field: str) -> Problem:
    """Say of a field that it tells documents apart, not kinds of them."""
    return Problem(
        path=place,
        what=f"{field!r} holds more than {MAX_VALUES:,} different values, or longer "
        f"ones than {MAX_VALUE_CHARS:,} characters",
        fix="name a field that tells kinds of documents, such as their language",
    )
