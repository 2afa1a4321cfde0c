"""Which documents of a shard are dropped, and why: read when the shard is tokenised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from specs.atomic import write_atomically
from specs.errors import InputError

DROP = np.dtype(
    [
        ("number", "<u8"),  # line or row in its file, counted from 1
        ("file", "<u4"),  # index in the source's files
        ("reason", "u1"),  # place in `REASONS`
    ]
)

REASONS = (
    "kept",
    "deduplicate.exact",
    "deduplicate.near",
    "deduplicate.benchmark",
)
"""Why a document is dropped, as manifests have it; the first is no reason."""

KEPT, EXACT, NEAR, BENCHMARK = range(4)


def write_drops(path: Path, drops: NDArray[np.void]) -> None:
    """Write a file whole.

    Args:
        path: The file.
        drops: As `DROP`, in any order.
    """
    order = np.lexsort((drops["number"], drops["file"]))
    write_atomically(path, drops[order].tobytes())


def read_drops(path: Path, files: Sequence[str]) -> Mapping[tuple[str, int], str]:
    """Return file and number of each dropped document -> the reason.

    Args:
        path: The file.
        files: The source's files, in their order.

    Raises:
        InputError: The file is gone.
    """
    try:
        found = np.fromfile(path, DROP)
    except FileNotFoundError:
        what = "the list of what was dropped as a duplicate is gone"
        fix = "delete the source's folder in .codemix/stores, then codemix prepare SPEC"
        raise InputError(what, file=str(path), fix=fix) from None
    numbers, places = found["number"].tolist(), found["file"].tolist()
    reasons = [REASONS[reason] for reason in found["reason"].tolist()]
    named = [files[place] for place in places]
    return dict(zip(zip(named, numbers, strict=True), reasons, strict=True))
