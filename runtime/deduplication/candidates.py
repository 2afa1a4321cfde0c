"""Which documents have to be compared: those that share a band, and their clusters.

A cluster is what bands connect. No band goes from one cluster to another, so clusters
can be compared apart from each other.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.catalogue import Ranks
from runtime.deduplication.groups import Groups
from specs.atomic import write_atomically

# C candidates, K clusters

DOCUMENTS_PER_JOB = 20_000
"""Candidates whose clusters are compared in one job, or one cluster if it is larger."""


class Candidates:
    """All documents that share a band, each with its cluster."""

    def __init__(self, ranks_C: Ranks, clusters_C: NDArray[np.int64]):
        """Take what was found.

        Args:
            ranks_C: Ascending.
            clusters_C: Clusters count from 0 in the order of their first documents.
        """
        self.ranks_C = ranks_C
        self.clusters_C = clusters_C

    @property
    def num_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.clusters_C.max()) + 1 if len(self.clusters_C) else 0

    def save(self, path: Path) -> None:
        """Write a file whole."""
        file = io.BytesIO()
        np.savez(file, ranks=self.ranks_C, clusters=self.clusters_C)
        write_atomically(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> Candidates:
        """Read a file."""
        with np.load(path) as found:
            return cls(found["ranks"], found["clusters"])

    def within(self, first_rank: int, stop_rank: int) -> Ranks:
        """Return the candidates in a range of ranks."""
        start, stop = np.searchsorted(
            self.ranks_C, np.array([first_rank, stop_rank], np.uint64)
        )
        return self.ranks_C[start:stop]

    def num_within(self, first_cluster: int, stop_cluster: int) -> int:
        """Count the candidates in a range of clusters."""
        is_within = self.clusters_C >= first_cluster
        is_within &= self.clusters_C < stop_cluster
        return int(np.count_nonzero(is_within))

    def cluster_ranges(self) -> list[tuple[int, int]]:
        """Divide the clusters into ranges of about `DOCUMENTS_PER_JOB` documents."""
        if not self.num_clusters:
            return []
        stops_K = np.cumsum(np.bincount(self.clusters_C))
        job_K = (stops_K - 1) // DOCUMENTS_PER_JOB
        firsts = np.flatnonzero(np.diff(job_K, prepend=-1) != 0).tolist()
        stops = [*firsts[1:], self.num_clusters]
        return list(zip(firsts, stops, strict=True))


def find_candidates(groups: Iterable[Path]) -> Candidates:
    """Connect documents by the groups of all bands.

    Args:
        groups: Files of groups; one is held at a time.
    """
    paths: Sequence[Path] = list(groups)
    ranks_C: Ranks = np.empty(0, np.uint64)
    for path in paths:
        ranks_C = np.union1d(ranks_C, Groups.load(path).members_M)
    clusters_C = np.arange(len(ranks_C), dtype=np.int64)
    for path in paths:
        found = Groups.load(path)
        edges = [
            clusters_C[np.searchsorted(ranks_C, ends)]
            for ends in (found.first_M, found.members_M)
        ]
        clusters_C = _connected(edges, len(ranks_C))[clusters_C]
    return Candidates(ranks_C, _by_first(clusters_C))


def _connected(edges: list[NDArray[np.int64]], num_nodes: int) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges[0]), np.bool_)
    graph = coo_array((ones, (edges[0], edges[1])), (num_nodes, num_nodes))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)


def _by_first(clusters_C: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number clusters in the order of their first documents.

    >>> _by_first(np.array([7, 0, 7, 3])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(clusters_C, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[inverse]
