"""From a source's rows to the documents that count, each with its split."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.deduplication.drops import read_drops
from runtime.documents import Corrupt, Document, Rows, read_rows
from runtime.file_endings import format_of
from runtime.filters import DocumentFilter
from runtime.funnel_sampler import Measured, Sampler
from runtime.readers import build_reader
from runtime.shards import ShardJob
from runtime.splits import Split, Splitter
from specs.errors import InputError, Problem
from specs.plan import PlannedSource

MAX_PROBLEMS = 10
"""Enough to see what is wrong with a file."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that passed the filters."""

    text: bytes
    """As UTF-8."""
    split: Split
    rows: int
    """Index of the range that it came from."""
    number: int
    """Line or row in its file, counted from 1."""


@dataclass
class Tally:
    """What became of the rows that were read."""

    read: int = 0
    corrupt: int = 0
    reserved: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    sampler: Sampler | None = None
    """Told of every row, where somebody wants to see some."""

    def drop(
        self, reason: str, document: Document, text: bytes, measured: Measured
    ) -> None:
        """Count a document that does not count."""
        self.dropped[reason] += 1
        if self.sampler is not None:
            self.sampler.add(reason, document, text, measured)

    def put(self, split: Split, document: Document, text: bytes) -> None:
        """Count a document that passed the filters."""
        self.reserved += split == "reserved"
        if self.sampler is not None:
            self.sampler.add(split, document, text)

    def skip(self, corrupt: Corrupt) -> None:
        """Count a row that holds no document."""
        self.corrupt += 1
        if self.sampler is not None:
            self.sampler.add_corrupt(corrupt)


class SourceReader:
    """Reads the rows of one source as its plan says."""

    def __init__(
        self,
        planned: PlannedSource,
        workspace: Path,
        duplicates: Mapping[tuple[str, int], str] | None = None,
        columns: frozenset[str] = frozenset(),
    ):
        """Build the filters once.

        Args:
            planned: The source's part of the plan, with what its filters chose.
            workspace: The folder that file names are relative to.
            duplicates: File and number of documents that pass the filters, and are
                dropped for a reason of another kind.
            columns: Keys or columns that documents have beside what filters need.
        """
        self._duplicates = duplicates or {}
        self._planned = planned
        self._workspace = workspace
        self._filter = DocumentFilter(planned.where, planned.filters, planned.chosen)
        self._columns = self._filter.columns | columns
        self._splitter = Splitter(holdout=planned.holdout, reserve=planned.reserve)

    def read(self, ranges: Iterable[Rows], tally: Tally) -> Iterator[Kept]:
        """Yield the documents that count and add up the others.

        Raises:
            InputError: As `passing`.
        """
        for index, found in self.passing(ranges, tally):
            text = found.text.encode("utf-8")
            split = self._splitter.split_of(text)
            duplicate = self._duplicates.get((found.file, found.number))
            if duplicate is not None and split != "reserved":
                tally.drop(duplicate, found, text, lambda: None)
                continue
            tally.put(split, found, text)
            if split != "reserved":
                yield Kept(text, split, index, found.number)

    def passing(
        self, ranges: Iterable[Rows], tally: Tally
    ) -> Iterator[tuple[int, Document]]:
        """Yield the documents that pass the filters, with the index of their range.

        Raises:
            InputError: Rows are corrupt and the source does not skip those; raised at
                the end, or after the first `MAX_PROBLEMS`.
        """
        problems: list[Problem] = []
        for index, rows in enumerate(ranges):
            for found in self._rows(rows):
                if isinstance(found, Corrupt):
                    tally.skip(found)
                    if self._planned.on_corrupt == "error":
                        problems.append(found.problem())
                    if len(problems) == MAX_PROBLEMS:
                        raise InputError(problems)
                    continue
                if self._passes(found, tally):
                    yield index, found
        if problems:
            raise InputError(problems)

    def document_at(self, file: str, number: int) -> Document | Corrupt | None:
        """Read one row again; None where the file has no such row.

        Args:
            file: One of the source's files.
            number: Line or row, counted from 1.
        """
        return next(self._rows(Rows(file, number - 1, number)), None)

    def _passes(self, found: Document, tally: Tally) -> bool:
        tally.read += 1
        reason = self._filter.reason_to_drop(found)
        if reason is None:
            return True
        measured = functools.partial(self._filter.measured, reason, found)
        tally.drop(reason, found, found.text.encode("utf-8"), measured)
        return False

    def _rows(self, rows: Rows) -> Iterator[Document | Corrupt]:
        file_format = format_of(rows.file, self._planned.format)
        assert file_format is not None, "pinning refuses files of unknown format"
        return read_rows(
            self._workspace,
            rows,
            file_format=file_format,
            reader=build_reader(self._planned.reader, self._planned.field, file_format),
            columns=self._columns,
        )


def read_shard(job: ShardJob, tally: Tally) -> Iterator[Kept]:
    """Yield the documents of a shard that are kept, and add up the others.

    Raises:
        InputError: As `SourceReader.read`; or what is dropped is not known any more.
    """
    duplicates = read_drops(Path(job.drops), job.files) if job.drops else None
    reader = SourceReader(job.planned, Path(job.workspace), duplicates)
    yield from reader.read([job.rows(one) for one in job.ranges], tally)
