"""From a source's rows to the documents that count, each with its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runtime.documents import Corrupt, Document, Rows, read_rows
from runtime.file_endings import format_of
from runtime.filters import DocumentFilter
from runtime.readers import build_reader
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


class SourceReader:
    """Reads the rows of one source as its plan says."""

    def __init__(self, planned: PlannedSource, workspace: Path):
        """Build the filters once.

        Args:
            planned: The source's part of the plan.
            workspace: The folder that file names are relative to.
        """
        self._planned = planned
        self._workspace = workspace
        self._filter = DocumentFilter(planned.where, planned.filters)
        self._splitter = Splitter(holdout=planned.holdout, reserve=planned.reserve)

    def read(self, ranges: Iterable[Rows], tally: Tally) -> Iterator[Kept]:
        """Yield the documents that count and add up the others.

        Raises:
            InputError: Rows are corrupt and the source does not skip those; raised at
                the end, or after the first `MAX_PROBLEMS`.
        """
        problems: list[Problem] = []
        for index, rows in enumerate(ranges):
            for found in self._rows(rows):
                if isinstance(found, Corrupt):
                    tally.corrupt += 1
                    if self._planned.on_corrupt == "error":
                        problems.append(found.problem())
                    if len(problems) == MAX_PROBLEMS:
                        raise InputError(problems)
                    continue
                tally.read += 1
                reason = self._filter.reason_to_drop(found)
                if reason is not None:
                    tally.dropped[reason] += 1
                    continue
                text = found.text.encode("utf-8")
                split = self._splitter.split_of(text)
                if split == "reserved":
                    tally.reserved += 1
                else:
                    yield Kept(text, split, index, found.number)
        if problems:
            raise InputError(problems)

    def _rows(self, rows: Rows) -> Iterator[Document | Corrupt]:
        file_format = format_of(rows.file, self._planned.format)
        assert file_format is not None, "pinning refuses files of unknown format"
        return read_rows(
            self._workspace,
            rows,
            file_format=file_format,
            reader=build_reader(self._planned.reader, self._planned.field, file_format),
            columns=self._filter.columns,
        )
