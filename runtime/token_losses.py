"""The loss of each token under the weights of a state, for evaluations.

Rows are worked through lane by lane, by the same rules as in training, so the losses of
a row are the same on any number of devices.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec
from numpy.typing import NDArray

from runtime.attention import NO_TOKEN
from runtime.fused import Parameters, fuse, nest
from runtime.lane_sums import build_program, gather_rows
from runtime.model import lane_token_losses
from runtime.numerics import BATCH, SLICE
from runtime.state import Layout, Rows
from runtime.tensors import all_from_rows
from specs.plan import Plan, PlannedStage

# B rows per call, L tokens scored per row


class TokenLosses:
    """The compiled losses for stages of one lane size and one layout."""

    def __init__(
        self, plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int = NO_TOKEN
    ) -> None:
        self.rows = stage.sequences_per_step
        """B: rows per call."""
        self._program = build_program(plan, stage, layout, eos_id)
        self._layout = layout
        self._lane = stage.lane_sequences
        self._lanes_here = stage.num_lanes // layout.num_devices
        spread, same = PartitionSpec((SLICE, BATCH)), PartitionSpec()
        self._spread = NamedSharding(layout.mesh, spread)
        body = jax.shard_map(
            self._losses,
            mesh=layout.mesh,
            in_specs=(same, layout.state_spec.weights, spread),
            out_specs=same,
            check_vma=False,
        )
        self._compiled = jax.jit(body)

    def of(self, weights: Rows) -> Callable[[NDArray[np.int32]], NDArray[np.float32]]:
        """Return the function B x (L + 1) tokens -> B x L losses in nats.

        Args:
            weights: Of a state in this layout.
        """

        def token_losses(tokens_BL: NDArray[np.int32]) -> NDArray[np.float32]:
            placed = jax.make_array_from_callback(
                tokens_BL.shape, self._spread, lambda at: tokens_BL[at]
            )
            # The compiler must not know how often the loop turns; see `numerics`.
            num_lanes = np.int32(self._lanes_here)
            losses: NDArray[np.float32] = np.asarray(
                self._compiled(num_lanes, weights, placed)
            )
            return losses

        return token_losses

    def _losses(self, num_lanes: Array, weights: Rows, tokens: Array) -> Array:
        # Inside, a device has one part of each tensor, and no axis over parts.
        weights = {name: x[0] for name, x in weights.items()}
        params = self._parameters(weights)
        lanes = tokens.reshape(self._lanes_here, self._lane, tokens.shape[1])
        # One lane more than is used, for reading and for writing: with a single one
        # neither would be a function of the loop's turn.
        lanes = jnp.concatenate([lanes, lanes[:1]])

        def add_lane(lane: Array, losses: Array) -> Array:
            part = lax.dynamic_index_in_dim(lanes, lane, keepdims=False)
            found = lane_token_losses(self._program, params, part)
            return losses.at[lane].set(found)

        shape = (self._lanes_here + 1, self._lane, tokens.shape[1] - 1)
        losses = lax.fori_loop(0, num_lanes, add_lane, jnp.zeros(shape, jnp.float32))
        everywhere: Array = lax.all_gather(
            losses[:-1].reshape(-1, shape[2]), (SLICE, BATCH), tiled=True
        )
        return everywhere

    def _parameters(self, weights: Rows) -> Parameters:
        if self._program.spread.is_by_layer:
            return nest(weights)
        layout = self._layout
        shapes = {name: layout.part_shape(name) for name in layout.shapes}
        whole = all_from_rows(gather_rows(weights, layout), shapes)
        return fuse(self._program.model, whole)
