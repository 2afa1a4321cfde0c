"""A state from the files of a checkpoint: each process reads its rows, and checks them.

Any layout can be loaded, whatever the one that saved: a row is looked up in the file of
the share that has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from runtime.manifest import Manifest
from runtime.row_files import (
    Rows,
    Share,
    bare_name,
    digests_of_rows,
    facts_of,
    offsets,
    row_bytes,
    state_of,
    tensor_names,
    wanted_ranges,
)
from runtime.state import Layout, TrainState, place_number
from runtime.storage import Storage

_READERS = 8
"""Reads under way at once: buckets answer slowly, and many at a time."""

RowDigests = Mapping[str, Mapping[tuple[int, int], bytes]]


def load_state(
    storage: Storage, folder: str, manifest: Manifest, layout: Layout
) -> TrainState:
    """Read and check what this process holds of a state.

    Raises:
        OSError: A file is not there, or too short.
        ValueError: Something is not what the manifest says; it names the row.
    """
    if manifest.num_parts != layout.num_parts:
        raise ValueError(
            f"tensors are cut into {manifest.num_parts} parts, "
            f"the experiment has {layout.num_parts}"
        )
    shares = {one.share: bytes.fromhex(one.digests) for one in manifest.shares}
    digests = digests_of_rows(shares, layout)
    if facts_of(digests, layout) != manifest.tensors:
        raise ValueError("the manifest's digests of rows and of tensors differ")
    reader = _Reader(storage, folder, layout, list(shares), digests)
    wanted = [
        (name, place)
        for name in tensor_names(layout)
        for place in sorted(wanted_ranges(name, layout))
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        read = list(pool.map(lambda one: reader.read(*one), wanted))
    rows: dict[str, dict[tuple[int, int, int], Rows]] = {}
    for (name, place), found in zip(wanted, read, strict=True):
        rows.setdefault(name, {})[place] = found
    num_updates = place_number(manifest.num_updates, layout)
    return state_of(rows, num_updates, place_number(0, layout), layout)


class _Reader:
    """Reads ranges of rows out of the files of shares."""

    def __init__(
        self,
        storage: Storage,
        folder: str,
        layout: Layout,
        shares: list[Share],
        digests: RowDigests,
    ) -> None:
        self._storage, self._folder, self._layout = storage, folder, layout
        self._digests = digests
        self._offsets = {share: offsets(share, layout) for share in shares}

    def read(self, name: str, place: tuple[int, int, int]) -> Rows:
        """Return rows of one part of a tensor, (rows, [layers,] K)."""
        part, start, stop = place
        _, *layers, _, length = self._layout.rows_shape(bare_name(name))
        rows = np.empty((stop - start, *layers, length), "<f4")
        for share, tensors in self._offsets.items():
            first, last = max(start, share.start_row), min(stop, share.stop_row)
            if share.part == part and first < last:
                raw = self._read(name, share, tensors[name], first, last)
                found = np.frombuffer(raw, "<f4").reshape(-1, *layers, length)
                rows[first - start : last - start] = found
        return rows

    def _read(
        self, name: str, share: Share, offset: int, first: int, last: int
    ) -> bytes:
        """Read rows from one file, and check each of them."""
        size = row_bytes(name, self._layout)
        begin = offset + (first - share.start_row) * size
        raw = self._storage.read(
            f"{self._folder}/{share.file_name}", begin, begin + (last - first) * size
        )
        for row in range(first, last):
            at = (row - first) * size
            digest = hashlib.sha256(memoryview(raw)[at : at + size]).digest()
            if digest != self._digests[name][share.part, row]:
                raise ValueError(
                    f"row {row} of {name} in {share.file_name} is not what the "
                    "manifest says"
                )
        return raw
