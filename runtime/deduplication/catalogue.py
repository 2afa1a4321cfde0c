"""All documents that are compared, in the order that says who is kept.

Source by source as listed, within a source the held-out documents first, then file by
file and row by row. A document's place in this order is its rank; ranks are all that
the comparison knows of documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.sketch import Sketch, SketchResult
from specs.base import Value

Ranks = NDArray[np.uint64]


class Segment(Value):
    """Documents of one shard and split, whose ranks follow on each other."""

    source: str
    shard: int
    sketch: str
    """Path of the shard's sketch."""
    num_sketched: int
    """Documents in that sketch."""
    start: int
    """First document in the sketch."""
    stop: int
    first_rank: int
    is_heldout: bool

    def open(self) -> Sketch:
        """Return the sketch that holds the documents."""
        return Sketch(Path(self.sketch), self.num_sketched)

    @property
    def stop_rank(self) -> int:
        """One past the last rank."""
        return self.first_rank + self.stop - self.start


class Catalogue(Value):
    """All segments, in the order of ranks."""

    segments: tuple[Segment, ...]

    @property
    def num_documents(self) -> int:
        """Documents of all sources."""
        return self.segments[-1].stop_rank if self.segments else 0

    def segments_of(self, ranks: Ranks) -> NDArray[np.int64]:
        """Return which segment each rank belongs to."""
        stops = np.array([one.stop_rank for one in self.segments], np.uint64)
        return np.searchsorted(stops, ranks, "right")


def catalogue_of(
    sketches: Sequence[tuple[str, Sequence[tuple[Path, SketchResult]]]],
) -> Catalogue:
    """Put the sketches of sources in order.

    Args:
        sketches: Source, and the sketches of its shards, in the order of sources.
    """
    segments: list[Segment] = []
    rank = 0
    for source, shards in sketches:
        for is_heldout in (True, False):
            for shard, (path, found) in enumerate(shards):
                start = 0 if is_heldout else found.heldout
                stop = found.heldout if is_heldout else found.documents
                segments.append(
                    Segment(
                        source=source,
                        shard=shard,
                        sketch=str(path),
                        num_sketched=found.documents,
                        start=start,
                        stop=stop,
                        first_rank=rank,
                        is_heldout=is_heldout,
                    )
                )
                rank += stop - start
    return Catalogue(segments=tuple(segments))
