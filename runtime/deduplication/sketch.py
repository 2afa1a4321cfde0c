"""What is kept of a shard's documents to find their duplicates: a sketch file.

The documents of a shard that pass the filters and belong to a split, held-out ones
first, otherwise in the order of the files. A sketch holds columns, one after another,
so that one of them can be read without the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.shingles import Hashes, shingle_hashes
from runtime.deduplication.signatures import band_keys
from runtime.deduplication.texts import Normalise, content_hash, normalised
from runtime.documents import Rows
from runtime.shards import RowRange
from runtime.source_reader import Kept, SourceReader, Tally
from runtime.worker_process import Report
from specs.atomic import write_atomically
from specs.base import Value
from specs.plan import PlannedNear, PlannedSource

# D documents of a shard, B bands

DOCUMENT = np.dtype(
    [
        ("number", "<u8"),  # line or row in its file, counted from 1
        ("bytes", "<u4"),  # UTF-8 bytes of its text
        ("file", "<u4"),  # index in the source's files
        ("is_shingled", "u1"),  # whether it has a shingle, so that bands mean something
    ]
)
CONTENT = np.dtype([("first", ">u8"), ("last", ">u8")])
KEY = np.dtype("<u8")

BATCH_BYTES = 2**20
"""Text that is hashed together: enough to make calls cheap, within caches."""


class SketchedShard(Value):
    """Which rows of a source, and how their texts are compared."""

    source: str
    planned: PlannedSource
    files: tuple[str, ...]
    """The source's files, relative to the workspace."""
    ranges: tuple[RowRange, ...]
    workspace: str
    normalise: Normalise
    near: PlannedNear | None
    num_bytes: int
    """About how many bytes of the files it is, to tell how far the work is."""
    path: str
    """Where the sketch goes."""


class SketchResult(Value):
    """What is in a sketch."""

    documents: int
    heldout: int
    """Of them; they come first."""


class Sketch:
    """Reads the columns of a sketch file."""

    def __init__(self, path: Path, num_documents: int):
        """Open nothing yet.

        Args:
            path: The file.
            num_documents: As the result of the job says.
        """
        self._path = path
        self._num_documents = num_documents

    def documents(self, start: int, stop: int) -> NDArray[np.void]:
        """Return where some documents come from, as `DOCUMENT`."""
        found: NDArray[np.void] = self._column(DOCUMENT, 0, start, stop)
        return found

    def contents(self, start: int, stop: int) -> NDArray[np.void]:
        """Return the hashes of some documents' texts, as `CONTENT`."""
        before = DOCUMENT.itemsize
        found: NDArray[np.void] = self._column(CONTENT, before, start, stop)
        return found

    def keys(self, band: int, start: int, stop: int) -> Hashes:
        """Return the keys of one band of some documents."""
        before = DOCUMENT.itemsize + CONTENT.itemsize + band * KEY.itemsize
        found: Hashes = self._column(KEY, before, start, stop)
        return found

    def _column(self, dtype: np.dtype[Any], before: int, start: int, stop: int) -> Any:
        """Read a part of a column.

        Args:
            dtype: Of the column.
            before: Bytes per document of the columns before it.
            start: First document.
            stop: One past the last.
        """
        offset = before * self._num_documents + start * dtype.itemsize
        return np.fromfile(self._path, dtype, stop - start, offset=offset)


def sketch_shard(shard: SketchedShard, report: Report) -> SketchResult:
    """Write the sketch of a shard.

    Raises:
        InputError: Rows are corrupt and the source does not skip those.
    """
    places, contents, keys = [], [], []
    is_heldout: list[bool] = []
    num_bands = 0 if shard.near is None else shard.near.bands
    for batch in batches(read_documents(shard), report):
        texts = [normalised(kept.text, shard.normalise) for kept in batch]
        found = np.zeros(len(batch), DOCUMENT)
        found["number"] = [kept.number for kept in batch]
        found["bytes"] = [len(kept.text) for kept in batch]
        found["file"] = [shard.ranges[kept.rows].file for kept in batch]
        if shard.near is not None:
            hashes, offsets = shingle_hashes(texts, shard.near.shingle, shard.near.size)
            found["is_shingled"] = np.diff(offsets) > 0
            keys.append(band_keys(hashes, offsets, shard.near))
        places.append(found)
        contents.append(np.frombuffer(b"".join(map(content_hash, texts)), CONTENT))
        is_heldout += [kept.split == "heldout" for kept in batch]
    # Stable: within a split the order of the files stays.
    order = np.argsort(np.logical_not(np.array(is_heldout, np.bool_)), kind="stable")
    columns = [
        np.concatenate([np.empty(0, DOCUMENT), *places])[order],
        np.concatenate([np.empty(0, CONTENT), *contents])[order],
    ]
    together = np.concatenate([np.empty((num_bands, 0), KEY), *keys], axis=1)
    columns += [together[band][order].astype(KEY) for band in range(num_bands)]
    write_atomically(Path(shard.path), b"".join(one.tobytes() for one in columns))
    return SketchResult(documents=len(order), heldout=sum(is_heldout))


def record_path(shard: SketchedShard) -> Path:
    """Return where the result of a sketch is kept, once the sketch is there."""
    return Path(shard.path).with_suffix(".json")


def sketch_result(shard: SketchedShard) -> SketchResult | None:
    """Return what an earlier run sketched, if it is whole."""
    try:
        found = SketchResult.model_validate_json(record_path(shard).read_bytes())
        size = Path(shard.path).stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    num_bands = 0 if shard.near is None else shard.near.bands
    per_document = DOCUMENT.itemsize + CONTENT.itemsize + num_bands * KEY.itemsize
    return found if size == found.documents * per_document else None


def read_documents(shard: SketchedShard) -> Iterator[Kept]:
    """Read the documents of a shard that may be duplicates, in the order of files."""
    reader = SourceReader(shard.planned, Path(shard.workspace))
    rows = [
        Rows(shard.files[one.file], one.start_row, one.stop_row) for one in shard.ranges
    ]
    return reader.read(rows, Tally())


def batches(documents: Iterable[Kept], report: Report) -> Iterator[list[Kept]]:
    """Put documents together until there is enough to do.

    Args:
        documents: In any order.
        report: Told how many bytes of text were read.
    """
    batch: list[Kept] = []
    num_bytes = done_bytes = 0
    for kept in documents:
        batch.append(kept)
        num_bytes += len(kept.text)
        if num_bytes >= BATCH_BYTES:
            yield batch
            done_bytes += num_bytes
            report(done_bytes)
            batch, num_bytes = [], 0
    if batch:
        yield batch
