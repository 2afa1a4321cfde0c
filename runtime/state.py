"""The training state: float32 rows of weights and of both moments, spread over devices.

The mesh has three axes. Rows are spread over `batch`; every index of `slice` has a copy
of them; every index of `tensor` has its own part of each matrix. With all devices along
`slice` the state is replicated. `Layout` says how a state lies on a mesh; it never
changes a value. Tensors go in and out by name, whole and on the host, so that a state
can move between any two layouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runtime.initialise import initial_tensors
from runtime.numerics import BATCH, SLICE, TENSOR
from runtime.tensors import (
    Shape,
    Shapes,
    host_rows,
    host_tensor,
    part_shape,
    parts_of,
    rows_shape,
    tensor_shapes,
)
from specs.plan import Plan, PlannedStage

Gather = Literal["step", "layer"]
"""When a device gathers the rows that others hold: all once per step, or one layer at a
time, in each lane."""

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
    """Of whole tensors."""
    num_rows: int
    """Rows that each layer of each tensor is cut into."""
    mesh: Mesh
    gather: Gather = "step"

    @property
    def num_shares(self) -> int:
        """Devices that the rows are spread over."""
        return int(self.mesh.shape[BATCH])

    @property
    def num_slices(self) -> int:
        """Copies of the state."""
        return int(self.mesh.shape[SLICE])

    @property
    def num_parts(self) -> int:
        """Devices that share each matrix product."""
        return int(self.mesh.shape[TENSOR])

    @property
    def num_devices(self) -> int:
        """Devices, or groups that share products, that lanes are dealt to."""
        return self.num_shares * self.num_slices

    @property
    def rows_here(self) -> int:
        """Rows of each layer of each tensor that one device holds."""
        return self.num_rows // self.num_shares

    def part_shape(self, name: str) -> Shape:
        """Return the shape of the part of a tensor that one device works with."""
        return part_shape(name, self.shapes[name], self.num_parts)

    def rows_shape(self, name: str) -> Shape:
        """Return the shape of a tensor's rows on all devices: (P, [layers,] R, K)."""
        rows = rows_shape(name, self.part_shape(name), self.num_rows)
        return (parts_of(name, self.num_parts), *rows)

    def rows_spec(self, name: str) -> PartitionSpec:
        """Return how a tensor's rows are spread: the next to last axis over `batch`."""
        shape = self.rows_shape(name)
        part = TENSOR if shape[0] > 1 else None
        return PartitionSpec(part, *[None] * (len(shape) - 3), BATCH, None)

    @property
    def state_spec(self) -> TrainState:
        """Partition of each array of a state."""
        rows = {name: self.rows_spec(name) for name in self.shapes}
        scalar = PartitionSpec()
        return TrainState(rows, rows, rows, scalar, scalar)  # type: ignore[arg-type]

    def abstract_state(self) -> TrainState:
        """Return the shapes and shardings of a state, without any array."""

        def spread(spec: PartitionSpec) -> NamedSharding:
            return NamedSharding(self.mesh, spec)

        rows = {
            name: jax.ShapeDtypeStruct(
                self.rows_shape(name), np.float32, sharding=spread(self.rows_spec(name))
            )
            for name in self.shapes
        }
        number = jax.ShapeDtypeStruct((), np.int32, sharding=spread(PartitionSpec()))
        return TrainState(rows, rows, rows, number, number)  # type: ignore[arg-type]


def build_layout(
    plan: Plan, stage: PlannedStage, mesh: Mesh, gather: Gather = "step"
) -> Layout:
    """Make the layout of a stage: two rows per lane.

    So the most devices still have two rows each. Looking up the only row would be no
    function of the loop's turn, and the compiler would make another program of it.
    """
    return Layout(tensor_shapes(plan.model), 2 * stage.num_lanes, mesh, gather)


def initial_state(plan: Plan, layout: Layout) -> TrainState:
    """Make the state before step 0, with the same values on any devices."""
    weights = {
        name: place_tensor(name, np.asarray(tensor), layout)
        for name, tensor in initial_tensors(plan.model, plan.seed)
    }
    return with_fresh_optimizer(weights, layout)


def with_fresh_optimizer(weights: Rows, layout: Layout) -> TrainState:
    """Make a state from weights, with moments of zero."""

    def zeros() -> Rows:
        return {
            name: place_tensor(name, np.zeros(shape, np.float32), layout)
            for name, shape in layout.shapes.items()
        }

    return TrainState(
        weights, zeros(), zeros(), place_number(0, layout), place_number(0, layout)
    )


def place_tensor(name: str, tensor: np.ndarray, layout: Layout) -> Array:
    """Cut a whole float32 tensor into rows and lay them on the devices."""
    whole = np.ascontiguousarray(tensor, np.float32)
    rows = host_rows(name, whole, num_parts=layout.num_parts, num_rows=layout.num_rows)
    sharding = NamedSharding(layout.mesh, layout.rows_spec(name))
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
    everywhere = NamedSharding(layout.mesh, PartitionSpec())
    if not rows.is_fully_addressable:
        rows = jax.jit(lambda x: x, out_shardings=everywhere)(rows)
    return host_tensor(name, np.asarray(rows), layout.shapes[name])


def state_from_tensors(
    tensors: Mapping[str, np.ndarray], num_updates: int, layout: Layout
) -> TrainState:
    """Lay a state on devices; the inverse of `whole_tensors`."""

    def group(prefix: str) -> Rows:
        return {
            name: place_tensor(name, tensors[prefix + name], layout)
            for name in layout.shapes
        }

    return TrainState(
        weights=group(""),
        mu=group("mu."),
        nu=group("nu."),
        num_updates=place_number(num_updates, layout),
        is_failed=place_number(0, layout),
    )


def change_layout(state: TrainState, old: Layout, new: Layout) -> TrainState:
    """Move a state to another layout, with the same bits, one tensor at a time."""
    if (old.num_rows, old.mesh) == (new.num_rows, new.mesh):
        return state

    def moved(rows: Rows) -> Rows:
        return {
            name: place_tensor(name, whole_tensor(rows[name], name, old), new)
            for name in new.shapes
        }

    return TrainState(
        weights=moved(state.weights),
        mu=moved(state.mu),
        nu=moved(state.nu),
        num_updates=place_number(int(state.num_updates), new),
        is_failed=place_number(int(state.is_failed), new),
    )


def _groups(state: TrainState) -> Iterator[tuple[str, Rows]]:
    yield "", state.weights
    yield "mu.", state.mu
    yield "nu.", state.nu
