"""Documents that hold questions of benchmarks: how they are asked for and kept.

Looking for questions is no part of this package, so whoever starts a run hands in what
does it, see `evals.contamination.overlaps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from runtime.deduplication.catalogue import Catalogue
from runtime.progress import Listener
from specs.base import Value
from specs.canonical import canonical_json
from specs.errors import InputError
from specs.lock import Lock
from specs.plan import Plan


class Overlap(Value):
    """A training document that holds questions of benchmarks."""

    source: str
    file: str
    """Relative to the workspace."""
    number: int
    """Line or row, counted from 1."""
    longest: int
    """Words of the longest match."""
    tasks: dict[str, tuple[str, ...]]
    """Task -> its questions that are found in it."""


FindOverlaps = Callable[[Plan, Lock, Path, int | None, Listener], Iterable[Overlap]]
"""Plan, lock, workspace, workers, listener -> the overlapping documents of the sources
that `deduplicate` lists, before anything is dropped as a duplicate."""

_OVERLAPS: TypeAdapter[tuple[Overlap, ...]] = TypeAdapter(tuple[Overlap, ...])


def overlaps_unknown(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    num_workers: int | None,
    progress: Listener,
) -> Iterable[Overlap]:
    """Stand in where nobody can look for questions.

    Raises:
        InputError: Always.
    """
    raise InputError(
        "questions of benchmarks have to be looked for before the data is prepared",
        path="deduplicate.benchmarks",
        fix="codemix prepare SPEC",
    )


def overlaps_to_bytes(overlaps: Iterable[Overlap]) -> bytes:
    """Write what was found."""
    return canonical_json([one.to_json() for one in overlaps])


def overlaps_from_bytes(data: bytes) -> tuple[Overlap, ...]:
    """Read what was found."""
    return _OVERLAPS.validate_json(data)


def overlapping_ranks(
    overlaps: Iterable[Overlap], catalogue: Catalogue, files: dict[str, tuple[str, ...]]
) -> NDArray[np.uint64]:
    """Return the ranks of documents that were found.

    Args:
        overlaps: What was found.
        catalogue: All documents.
        files: Source -> its files.
    """
    places = {
        (source, file): index
        for source, names in files.items()
        for index, file in enumerate(names)
    }
    found: dict[str, list[int]] = {}
    for one in overlaps:
        file = places[one.source, one.file]
        found.setdefault(one.source, []).append(_key(file, one.number))
    ranks = [np.empty(0, np.uint64)]
    for segment in catalogue.segments:
        if segment.is_heldout or segment.source not in found:
            continue
        documents = segment.open().documents(segment.start, segment.stop)
        keys = documents["file"].astype(np.uint64) << np.uint64(_NUMBER_BITS)
        keys |= documents["number"]
        wanted = np.array(found[segment.source], np.uint64)
        places_in = np.flatnonzero(np.isin(keys, wanted)).astype(np.uint64)
        ranks.append(places_in + np.uint64(segment.first_rank))
    return np.concatenate(ranks)


_NUMBER_BITS = 40
"""Of a line or row; a file has fewer than a million million."""


def _key(file: int, number: int) -> int:
    return file << _NUMBER_BITS | number
