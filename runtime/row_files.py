"""The rows of a state as files: which bytes are where, and their digests.

A *share* is what one group of devices holds: a range of rows of every tensor, and with
tensor parallelism one part of each. It is one file: for each tensor, in the order of
the model, weights, first and second moments, each of its rows, little-endian float32; a
row has its piece of every layer, one after the other.

A tensor's digest is the SHA-256 over the digests of its rows, 32 bytes each, those of
the first part first. Rows are cut alike on any devices, so each process digests what it
holds, and the tensor's digest is the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding
from numpy.typing import NDArray

from ledger.recorder import TensorFacts
from ledger.weights import MOMENTS
from runtime.state import Layout, TrainState
from runtime.tensors import parts_of

PREFIXES = ("", *MOMENTS)
"""Of the names of the weights and of both moments."""

DIGEST_BYTES = 32

Rows = NDArray[np.float32]


@dataclass(frozen=True, order=True)
class Share:
    """A range of rows of one part."""

    part: int
    start_row: int
    stop_row: int

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"{self.part:02d}-{self.start_row:06d}-{self.stop_row:06d}.rows"


def tensor_names(layout: Layout) -> list[str]:
    """Return the names of all tensors of a state, in order."""
    return [prefix + name for prefix in PREFIXES for name in layout.shapes]


def copy_to_host(state: TrainState, layout: Layout) -> dict[Share, dict[str, Rows]]:
    """Copy what this process holds of a state; it may be used up afterwards.

    Returns:
        Share -> tensor -> (rows, [layers,] K), of each share that no other process
        writes.
    """
    shards = list(_first_replicas(state, layout))
    for _, _, shard in shards:
        shard.data.copy_to_host_async()
    found: dict[Share, dict[str, Rows]] = {}
    for name, share, shard in shards:
        rows = np.asarray(shard.data)[0]
        # On a CPU the shard's memory may be this very array's.
        found.setdefault(share, {})[name] = np.array(
            np.moveaxis(rows, -2, 0), "<f4", order="C", copy=True
        )
    return found


def digest_share(tensors: Mapping[str, Rows]) -> bytes:
    """Return the digests of all rows of a share, in the order of its file."""
    rows = (row for tensor in tensors.values() for row in tensor)
    return b"".join(hashlib.sha256(row.data).digest() for row in rows)


def digests_of_rows(
    digests: Mapping[Share, bytes], layout: Layout
) -> dict[str, dict[tuple[int, int], bytes]]:
    """Tell which digest is which row's.

    Args:
        digests: Of all shares.
        layout: Any of the state.

    Returns:
        Tensor -> part, row -> digest.

    Raises:
        ValueError: Rows are missing, or there are more than the state has.
    """
    found: dict[str, dict[tuple[int, int], bytes]] = {}
    for share, joined in digests.items():
        starts = range(0, len(joined), DIGEST_BYTES)
        each = (joined[at : at + DIGEST_BYTES] for at in starts)
        rows = range(share.start_row, share.stop_row)
        for name in offsets(share, layout):
            of_name = found.setdefault(name, {})
            of_name |= {(share.part, row): next(each, b"") for row in rows}
        if next(each, None) is not None:
            raise ValueError(f"{share.file_name} has more digests than rows")
    for name in tensor_names(layout):
        parts, rows = range(num_parts(name, layout)), range(layout.num_rows)
        wanted = {(part, row) for part in parts for row in rows}
        if set(found.get(name, {})) != wanted or b"" in found[name].values():
            raise ValueError(f"{name} has not all of its rows")
    return found


def facts_of(
    digests: Mapping[str, Mapping[tuple[int, int], bytes]], layout: Layout
) -> dict[str, TensorFacts]:
    """Return tensor -> facts from the digests of its rows."""
    return {
        name: TensorFacts(
            sha256=hashlib.sha256(
                b"".join(digest for _, digest in sorted(digests[name].items()))
            ).hexdigest(),
            shape=layout.shapes[bare_name(name)],
            dtype="float32",
        )
        for name in tensor_names(layout)
    }


def num_parts(name: str, layout: Layout) -> int:
    """Return how many parts a tensor has."""
    return parts_of(bare_name(name), layout.num_parts)


def bare_name(name: str) -> str:
    """Return the name of the weights that a moment belongs to."""
    for prefix in PREFIXES[1:]:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def row_bytes(name: str, layout: Layout) -> int:
    """Return the length of one row of one part."""
    _, *layers, _, length = layout.rows_shape(bare_name(name))
    return 4 * math.prod(layers) * length


def offsets(share: Share, layout: Layout) -> dict[str, int]:
    """Return where each tensor begins in the file of a share."""
    found, offset = {}, 0
    for name in tensor_names(layout):
        if share.part < num_parts(name, layout):
            found[name] = offset
            rows = share.stop_row - share.start_row
            offset += rows * row_bytes(name, layout)
    return found


def state_of(
    rows_of: Mapping[str, Mapping[tuple[int, int, int], Rows]],
    num_updates: Array,
    is_failed: Array,
    layout: Layout,
) -> TrainState:
    """Lay rows on the devices of this process.

    Args:
        rows_of: Tensor -> part, first row, row after the last -> (rows, [layers,] K).
        num_updates: As in the state.
        is_failed: As in the state.
        layout: Of the state.
    """

    def place(name: str) -> Array:
        shape = layout.rows_shape(bare_name(name))
        spec = layout.rows_spec(bare_name(name))

        def shard(index: tuple[slice, ...] | None) -> Rows:
            assert index is not None
            rows = rows_of[name][wanted_rows(index, shape)]
            return np.moveaxis(rows, 0, -2)[None]

        sharding = NamedSharding(layout.mesh, spec)
        return jax.make_array_from_callback(shape, sharding, shard)

    weights, mu, nu = (
        {name: place(prefix + name) for name in layout.shapes} for prefix in PREFIXES
    )
    return TrainState(weights, mu, nu, num_updates, is_failed)


def wanted_ranges(name: str, layout: Layout) -> set[tuple[int, int, int]]:
    """Return part, first row and row after the last of each shard that is here."""
    shape = layout.rows_shape(bare_name(name))
    sharding = NamedSharding(layout.mesh, layout.rows_spec(bare_name(name)))
    here = sharding.addressable_devices_indices_map(shape)
    return {wanted_rows(index, shape) for index in here.values() if index is not None}


def wanted_rows(
    index: tuple[slice, ...], shape: tuple[int, ...]
) -> tuple[int, int, int]:
    """Return part, first row and row after the last of a shard."""
    start, stop, _ = index[-2].indices(shape[-2])
    return index[0].indices(shape[0])[0], start, stop


def _first_replicas(
    state: TrainState, layout: Layout
) -> Iterator[tuple[str, Share, Any]]:
    for prefix, group in zip(PREFIXES, state[:3], strict=True):
        for name in layout.shapes:
            for shard in group[name].addressable_shards:
                if shard.replica_id == 0:
                    share = Share(*wanted_rows(shard.index, group[name].shape))
                    yield prefix + name, share, shard
