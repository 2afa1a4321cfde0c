"""From what is dropped to files per shard, counts per source, and clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.catalogue import Catalogue, Ranks, Segment
from runtime.deduplication.drops import DROP, EXACT, KEPT, NEAR, REASONS
from runtime.deduplication.overlaps import Overlap
from runtime.deduplication.report import (
    Cluster,
    DeduplicatedSource,
    KeptOutTask,
    OverlapSample,
    Pair,
    Place,
    Removed,
)

# N documents, X dropped ones

MAX_CLUSTERS = 10
MAX_SAMPLES = 3


@dataclass(frozen=True)
class Outcome:
    """Everything that was decided, by rank."""

    catalogue: Catalogue
    files: Mapping[str, tuple[str, ...]]
    """Source -> its files."""
    reasons_N: NDArray[np.uint8]
    dropped_X: NDArray[np.void]
    """As `compare.DROPPED`, those that are like another document, by rank."""
    codes: tuple[int, ...] = (EXACT, NEAR)
    """Reasons that the rule can have."""
    overlaps: tuple[Overlap, ...] = ()
    """Documents that hold questions of benchmarks."""
    tasks: tuple[str, ...] = ()
    """Benchmarks that were looked for."""

    def drops(self, source: str) -> Iterator[tuple[int, NDArray[np.void]]]:
        """Yield the drops of each shard of a source, as `DROP`."""
        shards: dict[int, list[NDArray[np.void]]] = {}
        for one in self._segments(source):
            reasons = self.reasons_N[one.first_rank : one.stop_rank]
            is_dropped = reasons != KEPT
            found = one.open().documents(one.start, one.stop)[is_dropped]
            drops = np.empty(len(found), DROP)
            drops["number"], drops["file"] = found["number"], found["file"]
            drops["reason"] = reasons[is_dropped]
            shards.setdefault(one.shard, []).append(drops)
        for shard, parts in sorted(shards.items()):
            yield shard, np.concatenate(parts)

    def source(self, name: str) -> DeduplicatedSource:
        """Add up what became of a source."""
        num_bytes = 0
        counts = {code: [0, 0, 0] for code in self.codes}
        for one in self._segments(name):
            sizes = one.open().documents(one.start, one.stop)["bytes"].astype(np.int64)
            num_bytes += int(sizes.sum())
            reasons = self.reasons_N[one.first_rank : one.stop_rank]
            for code, count in counts.items():
                count[0] += int(np.count_nonzero(reasons == code))
                count[1] += int(sizes[reasons == code].sum())
        for code, number in self._like_heldout(name).items():
            counts[code][2] = number
        return DeduplicatedSource(
            source=name,
            documents=sum(one.stop - one.start for one in self._segments(name)),
            bytes=num_bytes,
            removed={
                REASONS[code]: Removed(
                    documents=count[0], bytes=count[1], like_heldout=count[2]
                )
                for code, count in counts.items()
            },
        )

    def clusters(self) -> tuple[Cluster, ...]:
        """Return the kept documents that most others were dropped for."""
        roots_X = self._roots()
        kept, counts = np.unique(roots_X, return_counts=True)
        # The largest first; of equal ones the first document.
        order = np.lexsort((kept, -counts))[:MAX_CLUSTERS]
        return tuple(
            self._cluster(int(kept[one]), np.flatnonzero(roots_X == kept[one]))
            for one in order
        )

    def kept_out(self) -> tuple[KeptOutTask, ...]:
        """Return what was dropped for each benchmark task."""
        return tuple(self._kept_out(name) for name in sorted(self.tasks))

    def _kept_out(self, task: str) -> KeptOutTask:
        found = [one for one in self.overlaps if task in one.tasks]
        questions = {question for one in found for question in one.tasks[task]}
        return KeptOutTask(
            task=task,
            documents=len(found),
            questions=len(questions),
            samples=tuple(
                OverlapSample(
                    dropped=Place(
                        source=one.source,
                        file=one.file,
                        number=one.number,
                        split="train",
                    ),
                    question=one.tasks[task][0],
                    words=one.longest,
                )
                for one in found[:MAX_SAMPLES]
            ),
        )

    def _cluster(self, kept: int, places: NDArray[np.int64]) -> Cluster:
        return Cluster(
            kept=self._place(kept),
            documents=len(places),
            bytes=int(self._bytes_X[places].sum()),
            samples=tuple(
                self._pair(self.dropped_X[place]) for place in places[:MAX_SAMPLES]
            ),
        )

    @cached_property
    def _bytes_X(self) -> NDArray[np.int64]:
        """Bytes of the text of each dropped document."""
        sizes_X = np.zeros(len(self.dropped_X), np.int64)
        for one in self.catalogue.segments:
            ranks = np.array([one.first_rank, one.stop_rank], np.uint64)
            start, stop = np.searchsorted(self.dropped_X["rank"], ranks)
            places = self.dropped_X["rank"][start:stop] - np.uint64(one.first_rank)
            sizes = one.open().documents(one.start, one.stop)["bytes"]
            sizes_X[start:stop] = sizes[places.astype(np.int64)]
        return sizes_X

    def _pair(self, one: np.void) -> Pair:
        is_same = int(one["either"]) == 0
        return Pair(
            dropped=self._place(int(one["rank"])),
            like=self._place(int(one["keeper"])),
            shared=None if is_same else int(one["shared"]),
            either=None if is_same else int(one["either"]),
        )

    def _roots(self) -> Ranks:
        """Return who is kept for each dropped document.

        One with the same text as another may be kept for a third, which the other is
        nearly the same as.
        """
        ranks_X, keepers_X = self.dropped_X["rank"], self.dropped_X["keeper"]
        if not len(ranks_X):
            return keepers_X
        places = np.minimum(np.searchsorted(ranks_X, keepers_X), len(ranks_X) - 1)
        is_dropped = ranks_X[places] == keepers_X
        return np.where(is_dropped, keepers_X[places], keepers_X)

    def _like_heldout(self, name: str) -> dict[int, int]:
        """Count by reason the training documents dropped for held-out ones."""
        is_heldout = np.array([one.is_heldout for one in self.catalogue.segments])
        is_own = np.array([one.source == name for one in self.catalogue.segments])
        own = self.catalogue.segments_of(self.dropped_X["rank"])
        like = self.catalogue.segments_of(self.dropped_X["keeper"])
        chosen = is_own[own] & ~is_heldout[own] & is_heldout[like]
        reasons = self.reasons_N[self.dropped_X["rank"][chosen]]
        return {code: int(np.count_nonzero(reasons == code)) for code in (EXACT, NEAR)}

    def _segments(self, source: str) -> list[Segment]:
        return [one for one in self.catalogue.segments if one.source == source]

    def _segment(self, rank: int) -> Segment:
        (place,) = self.catalogue.segments_of(np.array([rank], np.uint64))
        return self.catalogue.segments[int(place)]

    def _document(self, rank: int) -> np.void:
        one = self._segment(rank)
        start = one.start + rank - one.first_rank
        found: np.void = one.open().documents(start, start + 1)[0]
        return found

    def _place(self, rank: int) -> Place:
        segment, document = self._segment(rank), self._document(rank)
        return Place(
            source=segment.source,
            file=self.files[segment.source][int(document["file"])],
            number=int(document["number"]),
            split="heldout" if segment.is_heldout else "train",
        )
