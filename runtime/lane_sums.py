"""Sums of gradients over all lanes of a batch, wherever the lanes and weights are.

Lanes are counted over slices first, then by one of two orders within a slice, so that
whatever is summed first is always an aligned block, a subtree of the fixed tree:

    gather: step    device d has lanes d*J to d*J + J-1. It sums up its own whole
                    gradients; one sum over devices follows.
    gather: layer   in turn j, device d has lane j*N + d. Each gradient is summed over
                    the devices where it arises, and a device adds up its rows alone.

J lanes per device, N devices of a slice. Slices are added up at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.attention import build_attention
from runtime.blocks import LaneProgram, logits_at_once
from runtime.fused import Parameters, flatten, fuse, nest, unfuse
from runtime.model import lane_gradients
from runtime.numerics import (
    BATCH,
    SLICE,
    TENSOR,
    Turns,
    exact_sum,
    exact_sum_everywhere,
    exact_sum_scattered,
)
from runtime.spread import Spread
from runtime.state import Layout, Rows
from runtime.tensors import all_from_rows, all_to_rows, parts_of
from specs.plan import Plan, PlannedStage
from specs.stages import MAX_LANE_TOKENS


def build_program(
    plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int
) -> LaneProgram:
    """Say how the lanes of a stage are computed on the devices of a layout.

    Args:
        plan: Its model and its promise.
        stage: Its lanes.
        layout: Where the weights are.
        eos_id: Last token of each document.
    """
    platform = layout.mesh.devices.flat[0].platform
    return LaneProgram(
        model=plan.model,
        attention=build_attention(
            plan.model,
            platform=platform,
            length=stage.sequence_length,
            eos_id=eos_id,
        ),
        spread=Spread(
            num_shares=layout.num_shares,
            num_parts=layout.num_parts,
            is_exact=plan.determinism == "exact",
            is_by_layer=layout.gather == "layer",
        ),
        remat=stage.remat,
        logits_at_once=logits_at_once(platform),
    )


@dataclass(frozen=True)
class LaneSums:
    """The sum of gradients over a batch; used inside `shard_map`."""

    program: LaneProgram
    layout: Layout
    num_parts: int
    """Parts of the batch that gradients are computed of; lanes, in exact mode."""

    @property
    def parts_here(self) -> int:
        """Parts that each device works through."""
        return self.num_parts // self.layout.num_devices

    def deal(self, tokens_BL: np.ndarray) -> np.ndarray:
        """Bring the rows of a batch into the order in which devices take them."""
        if not self.program.spread.is_by_layer:
            return tokens_BL
        layout = self.layout
        in_turns = tokens_BL.reshape(
            layout.num_slices, self.parts_here, layout.num_shares, -1
        )
        return in_turns.transpose(0, 2, 1, 3).reshape(tokens_BL.shape)

    def part_indices(self) -> Array:
        """Return which parts of the batch this device has, int32, in its order."""
        here = jnp.arange(self.parts_here, dtype=jnp.int32)
        in_slice = self.parts_here * self.layout.num_shares
        first = lax.axis_index(SLICE) * in_slice
        if self.program.spread.is_by_layer:
            return first + here * self.layout.num_shares + lax.axis_index(BATCH)
        return first + lax.axis_index(BATCH) * self.parts_here + here

    def of(self, turns: Turns, weights: Rows, tokens: Array) -> tuple[Array, Rows]:
        """Return the sum of losses, and this device's rows of the sum of gradients.

        Args:
            turns: One and two, unknown to the compiler.
            weights: This device's rows, ([layers,] R, K).
            tokens: This device's rows of the batch, as dealt.
        """
        is_by_layer = self.program.spread.is_by_layer
        # A gather is not repeated for each lane, and fusing is not either.
        params = nest(weights) if is_by_layer else self._fused(weights)
        parts = tokens.reshape(self.parts_here, -1, tokens.shape[1])
        # One part more than is used: with a single one, looking it up would be no
        # function of the loop's turn, and the loop's whole body could be moved out.
        parts = jnp.concatenate([parts, parts[:1]])

        def value_of_part(part: Array) -> tuple[Array, Parameters]:
            tokens_BL = lax.dynamic_index_in_dim(parts, part, keepdims=False)
            loss, grads = lane_gradients(self.program, params, tokens_BL)
            # By layer, the gradients are sums over the devices already.
            return (self._over_shares(loss) if is_by_layer else loss), grads

        zeros = jax.tree.map(jnp.zeros_like, (jnp.float32(0), params))
        loss, sums = self._over_parts(value_of_part, zeros, turns)
        if is_by_layer:
            rows = flatten(sums)
        else:
            loss = self._over_shares(loss)
            rows = self._shares_of(sums)
        return self._over_slices(loss, self._alike(rows))

    def _alike(self, rows: Rows) -> Rows:
        """Keep copies of what products don't share, norms, from drifting apart.

        In exact mode all devices compute the same bits of them.
        """
        num_parts = self.layout.num_parts
        if self.program.spread.is_exact or num_parts == 1:
            return rows
        return {
            name: x if parts_of(name, num_parts) > 1 else lax.pmean(x, TENSOR)
            for name, x in rows.items()
        }

    def _over_parts(
        self,
        value_of_part: Callable[[Array], tuple[Array, Parameters]],
        zeros: tuple[Array, Parameters],
        turns: Turns,
    ) -> tuple[Array, Parameters]:
        if self.program.spread.is_exact:
            return exact_sum(
                value_of_part, zeros, num_lanes=self.parts_here, turns=turns
            )

        def add(
            part: Array, total: tuple[Array, Parameters]
        ) -> tuple[Array, Parameters]:
            added: tuple[Array, Parameters]
            added = jax.tree.map(jnp.add, total, value_of_part(part))
            return added

        summed: tuple[Array, Parameters] = lax.fori_loop(0, self.parts_here, add, zeros)
        return summed

    def _fused(self, weights: Rows) -> Parameters:
        shapes = self._part_shapes()
        return fuse(
            self.program.model, all_from_rows(gather_rows(weights, self.layout), shapes)
        )

    def _shares_of(self, sums: Parameters) -> Rows:
        shapes = self._part_shapes()
        tensors = unfuse(self.program.model, sums, shapes)
        rows = all_to_rows(tensors, self.layout.num_rows)
        spread = self.program.spread
        return {name: spread.share_of_sum(x) for name, x in rows.items()}

    def _over_shares(self, loss: Array) -> Array:
        if self.program.spread.is_exact:
            return exact_sum_everywhere(loss, BATCH, self.layout.num_shares)
        summed: Array = lax.psum(loss, BATCH)
        return summed

    def _over_slices(self, loss: Array, rows: Rows) -> tuple[Array, Rows]:
        num_slices = self.layout.num_slices
        if num_slices == 1:
            return loss, rows
        if not self.program.spread.is_exact:
            both: tuple[Array, Rows] = lax.psum((loss, rows), SLICE)
            return both
        loss = exact_sum_everywhere(loss, SLICE, num_slices)
        return loss, {
            name: lax.all_gather(
                exact_sum_scattered(x, SLICE, num_slices),
                SLICE,
                axis=x.ndim - 2,
                tiled=True,
            )
            for name, x in rows.items()
        }

    def _part_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: self.layout.part_shape(name) for name in self.layout.shapes}


def build_lane_sums(
    plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int
) -> LaneSums:
    """Say how a stage's batch is divided.

    Without exactness, and with whole weights, a device takes as much at once as the
    stage's accumulation allows, and no more tokens than a lane has by default.
    """
    program = build_program(plan, stage, layout, eos_id)
    num_parts = stage.num_lanes
    if plan.determinism != "exact" and layout.gather == "step":
        tokens = stage.sequences_per_step * stage.sequence_length
        enough = 1 << (-(-tokens // MAX_LANE_TOKENS) - 1).bit_length()
        wanted = max(layout.num_devices * stage.accumulation, enough)
        num_parts = min(wanted, stage.num_lanes)
    return LaneSums(program, layout, num_parts)


def gather_rows(rows: Rows, layout: Layout) -> Rows:
    """Give every device all rows; inside `shard_map`. Exact, as nothing is computed."""
    if layout.num_shares == 1:
        return rows
    return {
        name: lax.all_gather(x, BATCH, axis=x.ndim - 2, tiled=True)
        for name, x in rows.items()
    }
