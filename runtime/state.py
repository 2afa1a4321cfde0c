"""The training state: float32 rows of weights and of both moments, spread over devices.

`Layout` says how a state lies on the devices; it never changes a value. Spread out
("sharded") every device holds its share of the rows; "replicated" every device holds
all of them. Tensors go in and out by name, whole and on the host, so that a state can
move between any two layouts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runtime.initialise import initial_tensors
from runtime.numerics import AXIS
from runtime.tensors import Shapes, tensor_shapes
from specs.plan import Plan, PlannedStage

Sharding = Literal["sharded", "replicated"]

Rows = dict[str, Array]


class TrainState(NamedTuple):
    """All that training carries from step to step."""

    weights: Rows
    mu: Rows
    """First moments."""
    nu: Rows
    """Second moments."""
    num_updates: Array
    """int32: steps that the moments have seen."""
    is_failed: Array
    """int32: 1 once a loss or gradient was not finite; the state then stays as it was
    before that step."""


@dataclass(frozen=True)
class Layout:
    """How the rows of a state lie on the devices of a mesh."""

    shapes: Shapes
    num_rows: int
    mesh: Mesh
    sharding: Sharding

    @property
    def num_devices(self) -> int:
        """Devices along the batch axis."""
        return int(self.mesh.size)

    @property
    def rows_here(self) -> int:
        """Rows of each tensor that one device holds."""
        if self.sharding == "replicated":
            return self.num_rows
        return self.num_rows // self.num_devices

    @property
    def rows_spec(self) -> PartitionSpec:
        """Partition of rows."""
        sharded = self.sharding == "sharded"
        return PartitionSpec(AXIS) if sharded else PartitionSpec()

    @property
    def state_spec(self) -> TrainState:
        """Partition of each array of a state."""
        rows = dict.fromkeys(self.shapes, self.rows_spec)
        scalar = PartitionSpec()
        return TrainState(rows, rows, rows, scalar, scalar)  # type: ignore[arg-type]


def build_layout(
    plan: Plan, stage: PlannedStage, mesh: Mesh, sharding: Sharding = "sharded"
) -> Layout:
    """Make the layout of a stage: two rows per lane.

    So the most devices still have two rows each. Looking up the only row would be no
    function of the loop's turn, and the compiler would make another program of it.
    """
    return Layout(tensor_shapes(plan.model), 2 * stage.num_lanes, mesh, sharding)


def initial_state(plan: Plan, layout: Layout) -> TrainState:
    """Make the state before step 0, with the same values on any devices."""
    weights = {
        name: place_tensor(np.asarray(tensor), layout)
        for name, tensor in initial_tensors(plan.model, plan.seed)
    }
    return with_fresh_optimizer(weights, layout)


def with_fresh_optimizer(weights: Rows, layout: Layout) -> TrainState:
    """Make a state from weights, with moments of zero."""

    def zeros() -> Rows:
        return {
            name: place_tensor(np.zeros(shape, np.float32), layout)
            for name, shape in layout.shapes.items()
        }

    return TrainState(
        weights, zeros(), zeros(), place_number(0, layout), place_number(0, layout)
    )


def place_tensor(tensor: np.ndarray, layout: Layout) -> Array:
    """Cut a whole float32 tensor into rows and lay them on the devices."""
    flat = np.ascontiguousarray(tensor, np.float32).reshape(-1)
    length = -(-flat.size // layout.num_rows)
    padded = np.pad(flat, (0, length * layout.num_rows - flat.size))
    rows = padded.reshape(layout.num_rows, length)
    sharding = NamedSharding(layout.mesh, layout.rows_spec)
    return jax.make_array_from_callback(rows.shape, sharding, lambda at: rows[at])


def place_number(number: int, layout: Layout) -> Array:
    """Give every device the same int32."""
    sharding = NamedSharding(layout.mesh, PartitionSpec())
    value = np.int32(number)
    return jax.make_array_from_callback((), sharding, lambda _: np.asarray(value))


def whole_tensors(
    state: TrainState, layout: Layout
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the value of each tensor of a state, one at a time.

    Weights in the order of the model, then moments as `mu.NAME` and `nu.NAME`. With
    several processes all must call it, and all get every tensor.
    """
    for prefix, tensors in _groups(state):
        for name in layout.shapes:
            yield prefix + name, whole_tensor(tensors[name], name, layout)


def whole_tensor(rows: Array, name: str, layout: Layout) -> np.ndarray:
    """Put one tensor together on the host."""
    shape = layout.shapes[name]
    everywhere = NamedSharding(layout.mesh, PartitionSpec())
    if not rows.is_fully_addressable:
        rows = jax.jit(lambda x: x, out_shardings=everywhere)(rows)
    flat = np.asarray(rows).reshape(-1)
    return flat[: math.prod(shape)].reshape(shape)


def state_from_tensors(
    tensors: Mapping[str, np.ndarray], num_updates: int, layout: Layout
) -> TrainState:
    """Lay a state on devices; the inverse of `whole_tensors`."""

    def group(prefix: str) -> Rows:
        return {
            name: place_tensor(tensors[prefix + name], layout) for name in layout.shapes
        }

    return TrainState(
        weights=group(""),
        mu=group("mu."),
        nu=group("nu."),
        num_updates=place_number(num_updates, layout),
        is_failed=place_number(0, layout),
    )


def change_layout(state: TrainState, old: Layout, new: Layout) -> TrainState:
    """Move a state to another layout, with the same bits."""
    if old == new:
        return state
    tensors = dict(whole_tensors(state, old))
    return state_from_tensors(tensors, int(state.num_updates), new)


def _groups(state: TrainState) -> Iterator[tuple[str, Rows]]:
    yield "", state.weights
    yield "mu.", state.mu
    yield "nu.", state.nu
