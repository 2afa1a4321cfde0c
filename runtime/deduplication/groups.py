"""Documents that have something in common: a text, or a band of their signatures.

Keys are divided into partitions, and a partition's are sorted, so memory is bounded by
what a partition holds whatever the number of documents.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.catalogue import Catalogue, Ranks, Segment
from runtime.deduplication.shingles import Hashes
from specs.atomic import write_atomically
from specs.base import Value

# N documents of all sources, M members of all groups, G groups

DOCUMENTS_PER_PARTITION = 2**21
"""A job takes about 60 bytes for each."""


class GroupJob(Value):
    """One partition of the keys."""

    catalogue: str
    """Path of the catalogue."""
    excluded: str
    """Path of a byte per document: documents with another value than 0 are left out."""
    band: int | None
    """Which band is looked at; null: the texts."""
    partition: int
    num_partitions: int
    path: str
    """Where the groups go."""


class Groups:
    """Groups of two or more documents, in the order of their first ones."""

    def __init__(self, members_M: Ranks, starts_G: NDArray[np.int64]):
        """Take the groups.

        Args:
            members_M: Ranks, those of a group ascending.
            starts_G: Where the groups begin.
        """
        self.members_M = members_M
        self.starts_G = starts_G

    @property
    def sizes_G(self) -> NDArray[np.int64]:
        """Members of each group."""
        return np.diff(self.starts_G, append=len(self.members_M))

    @property
    def first_M(self) -> Ranks:
        """The first member of each member's group."""
        return np.repeat(self.members_M[self.starts_G], self.sizes_G)

    def save(self, path: Path) -> None:
        """Write a file whole."""
        file = io.BytesIO()
        np.savez(file, members=self.members_M, starts=self.starts_G)
        write_atomically(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> Groups:
        """Read a file."""
        with np.load(path) as found:
            return cls(found["members"], found["starts"])


def num_partitions(num_documents: int) -> int:
    """Return into how many parts keys are divided."""
    return -(-num_documents // DOCUMENTS_PER_PARTITION) or 1


def find_groups(job: GroupJob) -> None:
    """Group the documents of one partition."""
    catalogue = Catalogue.model_validate_json(Path(job.catalogue).read_bytes())
    excluded_N = np.fromfile(job.excluded, np.uint8)
    keys: list[list[Hashes]] = [[np.empty(0, np.uint64)] for _ in _key_parts(job)]
    ranks: list[Ranks] = [np.empty(0, np.uint64)]
    for segment in catalogue.segments:
        parts, is_usable = _keys(segment, job.band)
        chosen = excluded_N[segment.first_rank : segment.stop_rank] == 0
        chosen &= is_usable
        chosen &= parts[0] % np.uint64(job.num_partitions) == job.partition
        for found, part in zip(keys, parts, strict=True):
            found.append(part[chosen])
        ranks.append(np.flatnonzero(chosen).astype(np.uint64) + segment.first_rank)
    together = [np.concatenate(found) for found in keys]
    group_equal(together, np.concatenate(ranks)).save(Path(job.path))


def group_equal(keys: list[Hashes], ranks: Ranks) -> Groups:
    """Group documents whose keys are all equal.

    Args:
        keys: Of each document, one array after another.
        ranks: Of the documents, ascending.
    """
    order = np.lexsort(keys)
    is_same = np.ones(max(0, len(order) - 1), np.bool_)
    for key in keys:
        in_order = key[order]
        is_same &= in_order[1:] == in_order[:-1]
    # In a group is whoever equals the one before or the one behind.
    before = np.concatenate([[False], is_same])[: len(order)]
    behind = np.concatenate([is_same, [False]])[: len(order)]
    is_member = before | behind
    members = ranks[order[is_member]]
    starts = np.flatnonzero(~before[is_member])
    return _in_order(members, starts)


def _key_parts(job: GroupJob) -> range:
    """A band has a key of one number, a text one of two."""
    return range(2 if job.band is None else 1)


def _keys(segment: Segment, band: int | None) -> tuple[list[Hashes], NDArray[np.bool_]]:
    """Return the keys of a segment's documents, and which of them have any."""
    sketch, start, stop = segment.open(), segment.start, segment.stop
    if band is None:
        found = sketch.contents(start, stop)
        parts = [found[name].astype(np.uint64) for name in ("first", "last")]
        return parts, np.ones(stop - start, np.bool_)
    is_shingled = sketch.documents(start, stop)["is_shingled"] != 0
    return [sketch.keys(band, start, stop)], is_shingled


def _in_order(members: Ranks, starts: NDArray[np.int64]) -> Groups:
    """Sort groups by their first members."""
    sizes = np.diff(starts, append=len(members))
    group = np.repeat(members[starts], sizes)
    order = np.lexsort((members, group))
    members = members[order]
    starts = np.flatnonzero(np.diff(group[order], prepend=np.uint64(2**64 - 1)) != 0)
    return Groups(members, starts)
