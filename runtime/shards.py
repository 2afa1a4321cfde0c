"""Dividing a source's files into shards: shard in, shard out.

The division depends on the pinned files alone, never on the machine, so the same
shards come out for any number of workers. Small files share a shard; a big file is
divided into ranges of rows. Rows of a compressed file can only be reached by
decompressing what is before them, hence the limit on its ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtime.documents import Rows
from runtime.file_endings import format_of
from specs.base import Value
from specs.lock import LockedFile
from specs.plan import PlannedSource

MIN_SHARD_BYTES = 2**20
MAX_SHARD_BYTES = 2**28
SHARDS_PER_SOURCE = 256
"""About as many for sources between the two limits: work for as many cores."""

MAX_RANGES_OF_COMPRESSED = 32


class RowRange(Value):
    """A range of rows of one of the source's files."""

    file: int
    """Index in the source's files."""
    start_row: int
    stop_row: int | None


class ShardJob(Value):
    """All that a worker needs to know to make one shard."""

    source: str
    planned: PlannedSource
    files: tuple[str, ...]
    """The source's files, relative to the workspace."""
    ranges: tuple[RowRange, ...]
    shard: int
    num_shards: int
    order_key: str
    """Key of the order of the documents, a decimal number of 64 bits."""
    sample_key: str
    """Key of which documents are sampled, the same for all shards of a source."""
    workspace: str
    folder: str
    """The store's folder."""
    location: str | None
    """Where finished files are moved to; null: they stay in the folder."""
    tokenizer: str
    """The SentencePiece model."""
    drops: str | None = None
    """The documents that are dropped as duplicates, see `runtime.deduplication`."""

    def rows(self, row_range: RowRange) -> Rows:
        """Name the file of a range."""
        path = self.files[row_range.file]
        return Rows(path, row_range.start_row, row_range.stop_row)


def plan_shards(
    files: Sequence[LockedFile], declared_format: str
) -> tuple[tuple[RowRange, ...], ...]:
    """Divide files into shards of about equal bytes.

    Args:
        files: The pinned files, in the order read.
        declared_format: The source's `format`.

    Returns:
        The ranges of each shard; every row of every file is in exactly one.
    """
    total_bytes = sum(file.bytes for file in files)
    target_bytes = min(
        max(total_bytes // SHARDS_PER_SOURCE, MIN_SHARD_BYTES), MAX_SHARD_BYTES
    )
    shards: list[tuple[RowRange, ...]] = []
    pending: list[RowRange] = []
    pending_bytes = 0
    for row_range, num_bytes in _ranges(files, declared_format, target_bytes):
        if pending and pending_bytes + num_bytes > target_bytes:
            shards.append(tuple(pending))
            pending, pending_bytes = [], 0
        pending.append(row_range)
        pending_bytes += num_bytes
    if pending:
        shards.append(tuple(pending))
    return tuple(shards)


def _ranges(
    files: Sequence[LockedFile], declared_format: str, target_bytes: int
) -> Iterator[tuple[RowRange, int]]:
    """Yield ranges of at most about `target_bytes`, with their bytes."""
    for index, file in enumerate(files):
        count = _num_ranges(file, declared_format, target_bytes)
        num_rows = file.documents or 0
        borders: list[int | None] = [num_rows * part // count for part in range(count)]
        # The last range has no end: what can't be read there is found by reading it.
        for start, stop in zip(borders, [*borders[1:], None], strict=True):
            yield (
                RowRange(file=index, start_row=start or 0, stop_row=stop),
                file.bytes // count,
            )


def _num_ranges(file: LockedFile, declared_format: str, target_bytes: int) -> int:
    if format_of(file.path, declared_format) in ("text", "notebook"):
        return 1
    wanted = -(-file.bytes // target_bytes)
    if file.path.lower().endswith((".gz", ".zst")):
        wanted = min(wanted, MAX_RANGES_OF_COMPRESSED)
    return max(1, min(wanted, file.documents or 1))
