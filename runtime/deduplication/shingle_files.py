"""The shingles of candidates on disk, for whoever compares them.

The sets of a shard lie one after another in one file; an index beside it, written last,
says whose they are and where. So a comparison reads two sets, and only those that were
used last are held.
"""

from __future__ import annotations

import io
import os
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.candidates import Candidates
from runtime.deduplication.catalogue import Catalogue, Ranks
from runtime.deduplication.shingles import Hashes, distinct, shingle_hashes
from runtime.deduplication.sketch import SketchedShard, batches, read_documents
from runtime.deduplication.texts import normalised
from runtime.worker_process import Report
from specs.atomic import sync_folder, write_atomically
from specs.base import Value

HELD_BYTES = 2**25
"""Sets that are held: documents of one cluster are compared with the same few."""


class ShinglesJob(Value):
    """One shard whose candidates' shingles are written."""

    shard: SketchedShard
    number: int
    """Of the shard in its source."""
    catalogue: str
    """Path of the catalogue."""
    candidates: str
    """Path of the candidates."""
    path: str
    """Where the shingles go; whoever trusts them writes the index beside them."""


class ShinglesResult(Value):
    """What is in a file of shingles."""

    ranks: tuple[int, ...]
    """Whose they are."""
    sizes: tuple[int, ...]
    """How many of each there are."""

    def save(self, path: Path) -> None:
        """Write the index of a file of shingles, which makes it count.

        Args:
            path: The index, as `index_path` names it.
        """
        file = io.BytesIO()
        np.savez(
            file,
            ranks=np.array(self.ranks, np.uint64),
            sizes=np.array(self.sizes, np.int64),
        )
        write_atomically(path, file.getvalue())


def write_shingles(job: ShinglesJob, report: Report) -> ShinglesResult:
    """Read a shard again and write the shingles of its candidates.

    Raises:
        InputError: Rows are corrupt and the source does not skip those.
    """
    near = job.shard.near
    assert near is not None, "candidates have signatures"
    catalogue = Catalogue.model_validate_json(Path(job.catalogue).read_bytes())
    wanted = _wanted(job, catalogue)
    next_rank = {
        one.is_heldout: one.first_rank
        for one in catalogue.segments
        if (one.source, one.shard) == (job.shard.source, job.number)
    }
    ranks: list[int] = []
    sizes: list[int] = []
    path = Path(job.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another machine may be given the same job.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with temporary.open("wb") as file:
        for batch in batches(read_documents(job.shard), report):
            chosen = []
            for kept in batch:
                rank = next_rank[kept.split == "heldout"]
                next_rank[kept.split == "heldout"] += 1
                if rank in wanted:
                    ranks.append(rank)
                    chosen.append(normalised(kept.text, job.shard.normalise))
            hashes, offsets = shingle_hashes(chosen, near.shingle, near.size)
            for start, stop in pairwise(offsets.tolist()):
                found = distinct(hashes[start:stop])
                sizes.append(len(found))
                file.write(found.tobytes())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
    return ShinglesResult(ranks=tuple(ranks), sizes=tuple(sizes))


def index_path(path: Path) -> Path:
    """Return where the index of a file of shingles lies."""
    return path.with_suffix(".npz")


class ShingleFiles:
    """Reads the sets of any candidates."""

    def __init__(self, paths: Sequence[Path]):
        """Read the indexes.

        Args:
            paths: The shingles of all shards with candidates.
        """
        found = [_load_index(index_path(path)) for path in paths]
        empty = np.empty(0, np.uint64)
        ranks = np.concatenate([empty, *(ranks for ranks, _ in found)])
        order = np.argsort(ranks)
        sizes = [sizes for _, sizes in found]
        starts = [np.cumsum(one) - one for one in sizes]
        files = [np.full(len(one), number) for number, one in enumerate(sizes)]
        self._ranks = ranks[order]
        none = np.empty(0, np.int64)
        self._sizes = np.concatenate([none, *sizes])[order]
        self._starts = np.concatenate([none, *starts])[order]
        self._files = np.concatenate([none, *files])[order]
        self._paths = paths
        self._held: OrderedDict[int, Hashes] = OrderedDict()
        self._held_bytes = 0

    def size(self, rank: int) -> int:
        """Return how many shingles a document has."""
        return int(self._sizes[self._place(rank)])

    def read(self, rank: int) -> Hashes:
        """Return the set of a document's shingles, sorted."""
        if rank in self._held:
            self._held.move_to_end(rank)
            return self._held[rank]
        found = self._read(rank)
        self._held[rank] = found
        self._held_bytes += found.nbytes
        while self._held_bytes > HELD_BYTES:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= oldest.nbytes
        return found

    def _read(self, rank: int) -> Hashes:
        place = self._place(rank)
        path = self._paths[self._files[place]]
        offset = 8 * int(self._starts[place])
        return np.fromfile(path, np.uint64, int(self._sizes[place]), offset=offset)

    def _place(self, rank: int) -> int:
        return int(np.searchsorted(self._ranks, np.uint64(rank)))


def _wanted(job: ShinglesJob, catalogue: Catalogue) -> set[int]:
    candidates = Candidates.load(Path(job.candidates))
    return {
        rank
        for one in catalogue.segments
        if (one.source, one.shard) == (job.shard.source, job.number)
        for rank in candidates.within(one.first_rank, one.stop_rank).tolist()
    }


def _load_index(path: Path) -> tuple[Ranks, NDArray[np.int64]]:
    with np.load(path) as found:
        return found["ranks"], found["sizes"]
