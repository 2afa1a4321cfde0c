"""Weights of a state as they are asked: put together once, then used in many calls.

A call that scores or generates is short, so gathering weights in each of them, as a
training step does, would cost more than the rest. Where weights are gathered layer by
layer they stay spread, and each call gathers what it uses.
"""

# P parts of each product

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from runtime.blocks import LaneProgram
from runtime.fused import Parameters, fuse, nest
from runtime.lane_sums import build_program, gather_rows
from runtime.numerics import BATCH, SLICE, TENSOR
from runtime.state import Layout, Rows
from runtime.tensors import all_from_rows
from specs.plan import Plan, PlannedStage

LANES = PartitionSpec((SLICE, BATCH))
"""An axis over lanes, or over rows of all lanes: each device has one lane."""

SAME = PartitionSpec()


@dataclass(frozen=True)
class Asked:
    """A model on the devices of a layout; one lane per device and call.

    So a lane is one program, without a loop over lanes, on any number of devices.
    """

    plan: Plan
    stage: PlannedStage
    layout: Layout
    eos_id: int

    @property
    def num_lanes(self) -> int:
        """Lanes in a call."""
        return self.layout.num_devices

    def program(self, width: int) -> LaneProgram:
        """Say how rows of so many tokens are computed."""
        changes = {"sequence_length": width, "remat": "none"}
        stage = self.stage.model_copy(update=changes)
        return build_program(self.plan, stage, self.layout, self.eos_id)

    @property
    def _is_by_layer(self) -> bool:
        return self.layout.gather == "layer"

    def hold(self, weights: Rows) -> Parameters:
        """Put weights together; every array has an axis over parts before its own."""
        if self._is_by_layer:
            return nest(weights)
        spec = self.layout.state_spec.weights
        held = self._sharded(self._whole, (spec,), PartitionSpec(TENSOR))
        found: Parameters = jax.jit(held)(weights)
        return found

    def compiled(
        self,
        function: Any,
        in_specs: tuple[Any, ...],
        out_specs: Any = SAME,
        donated: int | None = None,
    ) -> Any:
        """Compile a function of what one device has.

        Args:
            function: What every process needs of its results it gathers by itself.
            in_specs: Partition of its arguments.
            out_specs: Partition of its results.
            donated: The argument whose memory it may use for its results.
        """
        sharded = self._sharded(function, in_specs, out_specs)
        return jax.jit(sharded, donate_argnums=() if donated is None else donated)

    def place(self, array: np.ndarray) -> Array:
        """Deal the rows of all lanes to the devices."""
        spread = NamedSharding(self.layout.mesh, LANES)
        return jax.make_array_from_callback(array.shape, spread, lambda at: array[at])

    @property
    def params_spec(self) -> Any:
        """Partition of what `hold` returns."""
        if not self._is_by_layer:
            return PartitionSpec(TENSOR)
        return nest(self.layout.state_spec.weights)

    def _sharded(self, function: Any, in_specs: Any, out_specs: Any) -> Any:
        return jax.shard_map(
            function,
            mesh=self.layout.mesh,
            in_specs=in_specs,
            out_specs=out_specs,
            check_vma=False,
        )

    def _whole(self, weights: Rows) -> Parameters:
        layout, model = self.layout, self.plan.model
        rows = gather_rows({name: x[0] for name, x in weights.items()}, layout)
        shapes = {name: layout.part_shape(name) for name in layout.shapes}
        params = fuse(model, all_from_rows(rows, shapes))

        def as_used(path: Any, x: Array) -> Array:
            # Rounded once instead of in every product; scales stay whole.
            is_scale = str(path[-1].key).endswith("norm")
            return (x if is_scale else x.astype(model.compute))[None]

        found: Parameters = jax.tree_util.tree_map_with_path(as_used, params)
        return found


def here(params: Parameters) -> Parameters:
    """Take the axis over parts off: inside a device there is one."""
    found: Parameters = jax.tree.map(lambda x: x[0], params)
    return found
