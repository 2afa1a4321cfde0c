"""Comparing candidates exactly: who is nearly the same as a document that is kept.

Documents are gone through by rank. One whose shingles overlap with those of an earlier,
kept document by the threshold or more is dropped; otherwise it is kept. So every
dropped document has a kept one that it is a near-duplicate of. Similarities are
compared as fractions of whole numbers.

Work is bounded where bands hold very many documents: of each band the first
`KEPT_PER_GROUP` kept documents are compared with, and of all bands of a document the
`MAX_COMPARISONS` that share the most bands with it. Only a near-duplicate that is not
among those stays.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.candidates import Candidates
from runtime.deduplication.groups import Groups
from runtime.deduplication.shingle_files import ShingleFiles
from runtime.deduplication.shingles import Hashes, num_shared
from runtime.worker_process import Report
from specs.atomic import write_atomically
from specs.base import Value

KEPT_PER_GROUP = 64
MAX_COMPARISONS = 64

DROPPED = np.dtype(
    [
        ("rank", "<u8"),  # of the document that is dropped
        ("keeper", "<u8"),  # of the kept one that it is like
        ("shared", "<u8"),  # shingles that both have
        ("either", "<u8"),  # shingles that either has; 0 where texts are the same
    ]
)


class CompareJob(Value):
    """Some clusters."""

    groups: tuple[str, ...]
    """Paths of the groups of all bands."""
    candidates: str
    """Path of the candidates."""
    shingles: tuple[str, ...]
    """Paths of their shingles."""
    first_cluster: int
    stop_cluster: int
    threshold: str
    num_documents: int
    """Of these clusters, to tell how far the work is."""
    path: str
    """Where what is dropped goes."""


def compare_clusters(job: CompareJob, report: Report) -> None:
    """Compare the documents of some clusters."""
    members = _memberships(job)
    files = ShingleFiles([Path(path) for path in job.shingles])
    comparison = Comparison(files.size, files.read, Fraction(job.threshold))
    for done, (rank, groups) in enumerate(members):
        comparison.add(rank, groups)
        report(done)
    file = io.BytesIO()
    np.save(file, np.array(comparison.dropped, DROPPED))
    write_atomically(Path(job.path), file.getvalue())


class Comparison:
    """Goes through documents by rank."""

    def __init__(
        self,
        size: Callable[[int], int],
        read: Callable[[int], Hashes],
        threshold: Fraction,
    ):
        """Start with no document.

        Args:
            size: Rank -> shingles that a document has.
            read: Rank -> its shingles, sorted, without repetition.
            threshold: Smallest similarity that counts.
        """
        self.dropped: list[tuple[int, int, int, int]] = []
        """As `DROPPED`."""
        self.num_comparisons = 0
        """Pairs whose shingles were read."""
        self._size = size
        self._read = read
        self._threshold = threshold
        self._kept: dict[int, list[int]] = {}

    def add(self, rank: int, groups: Sequence[int]) -> None:
        """Drop or keep a document.

        Args:
            rank: Above all ranks before.
            groups: The groups that it is in.
        """
        shared = Counter(one for group in groups for one in self._kept.get(group, ()))
        by_bands = sorted(shared, key=lambda one: (-shared[one], one))
        for keeper in by_bands[:MAX_COMPARISONS]:
            found = self._overlap(rank, keeper)
            if found is not None:
                self.dropped.append((rank, keeper, *found))
                return
        for group in groups:
            kept = self._kept.setdefault(group, [])
            if len(kept) < KEPT_PER_GROUP:
                kept.append(rank)

    def _overlap(self, rank: int, keeper: int) -> tuple[int, int] | None:
        """Return shingles that both have and either has, if that is enough."""
        sizes = self._size(rank), self._size(keeper)
        # What both have is at most the smaller, what either has at least the larger.
        if not self._is_near(min(sizes), max(sizes)):
            return None
        self.num_comparisons += 1
        shared = num_shared(self._read(rank), self._read(keeper))
        either = sum(sizes) - shared
        return (shared, either) if self._is_near(shared, either) else None

    def _is_near(self, shared: int, either: int) -> bool:
        of = self._threshold
        return shared * of.denominator >= of.numerator * either


def _memberships(job: CompareJob) -> list[tuple[int, list[int]]]:
    """Return the documents of a job by rank, each with its groups."""
    candidates = Candidates.load(Path(job.candidates))
    ranks: list[NDArray[np.uint64]] = []
    groups: list[NDArray[np.int64]] = []
    num_groups = 0
    for path in job.groups:
        found = Groups.load(Path(path))
        places = np.searchsorted(candidates.ranks_C, found.members_M)
        clusters = candidates.clusters_C[places]
        chosen = (clusters >= job.first_cluster) & (clusters < job.stop_cluster)
        numbers = np.repeat(np.arange(len(found.starts_G)), found.sizes_G)
        ranks.append(found.members_M[chosen])
        groups.append(numbers[chosen] + num_groups)
        num_groups += len(found.starts_G)
    ranks_M, groups_M = np.concatenate(ranks), np.concatenate(groups)
    order = np.lexsort((groups_M, ranks_M))
    unique, starts = np.unique(ranks_M[order], return_index=True)
    parts = np.split(groups_M[order], starts[1:])
    return [
        (rank, part.tolist()) for rank, part in zip(unique.tolist(), parts, strict=True)
    ]
