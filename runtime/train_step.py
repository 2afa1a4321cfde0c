"""One training step: gradients of all lanes, their exact sum, the update, fingerprints.

The step is one jitted program, the same on every device (`shard_map`). In exact mode
what it computes is a loop over lanes, sums by the fixed tree, and a loop over rows; the
number of devices changes how often the loops turn and nothing inside them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from runtime.devices import return_free_memory
from runtime.fingerprint import SUMS, partial_fingerprint
from runtime.model import fuse, lane_loss, unfuse
from runtime.numerics import (
    AXIS,
    Turns,
    exact_sum,
    exact_sum_everywhere,
    exact_sum_scattered,
    sum_by_halves,
    turns,
)
from runtime.optimizer import adamw_steps, apply_steps, build_optimizer, clip_factor
from runtime.state import Layout, Rows, TrainState
from runtime.tensors import all_from_rows, all_to_rows, float_bits
from specs.plan import Plan, PlannedStage

BATCH_NAME = "batch"
"""Name under which a batch of tokens is fingerprinted."""


class StepOutput(NamedTuple):
    """What a step tells; the same on every device."""

    loss: Array
    """Mean over the batch before the update, nats, float32."""
    grad_norm: Array
    """Before clipping, float32."""
    weights: Array
    """Fingerprint of the weights after the update, uint32 (4,)."""
    batch: Array
    """Fingerprint of the tokens, uint32 (4,)."""
    is_failed: Array
    """int32: 1 where this or an earlier step was not finite."""
    num_stop: Array
    """int32: devices whose process asks to stop."""


class TrainStep:
    """The compiled step of stages with one shape of batch."""

    def __init__(self, plan: Plan, stage: PlannedStage, layout: Layout) -> None:
        self.layout = layout
        self.num_traces = 0
        self._plan = plan
        self._stage = stage
        self._optimizer = build_optimizer(plan.optimizer, layout.shapes)
        devices = layout.num_devices
        is_exact = plan.determinism == "exact"
        self._num_parts = stage.num_lanes if is_exact else devices * stage.accumulation
        self._parts_here = self._num_parts // devices
        self._turns = turns(layout.rows_here)
        spread, same = PartitionSpec(AXIS), PartitionSpec()
        body = jax.shard_map(
            self._step,
            mesh=layout.mesh,
            in_specs=(same, layout.state_spec, spread, same, spread),
            out_specs=(layout.state_spec, same),
            check_vma=False,
        )
        self._jitted = jax.jit(body, donate_argnums=1)
        self._executable: jax.stages.Compiled | None = None

    def __call__(
        self,
        state: TrainState,
        tokens: Array,
        learning_rate: float,
        is_stopping: bool = False,
    ) -> tuple[TrainState, StepOutput]:
        """Take one step; the arrays of `state` are used up.

        Args:
            state: In this step's layout.
            tokens: From `place_tokens`.
            learning_rate: Rounded to float32.
            is_stopping: Whether this process asks to stop.
        """
        rate = np.float32(learning_rate)
        stops = self._spread(np.full(self.layout.num_devices, is_stopping, np.int32))
        arguments = (self._turns, state, tokens, rate, stops)
        if self._executable is None:
            self._executable = self._jitted.lower(*arguments).compile()
            # Making the state and compiling leave free memory behind that would stay
            # with this process beside what the step needs.
            return_free_memory()
        done: tuple[TrainState, StepOutput] = self._executable(*arguments)
        return done

    def place_tokens(self, tokens_BL: np.ndarray) -> Array:
        """Give each device its rows of a batch, int32 (B, L + 1)."""
        return self._spread(np.ascontiguousarray(tokens_BL, np.int32))

    def lower(self, state: TrainState, tokens: Array) -> Any:
        """Lower the step without running it, to look at its program."""
        stops = self._spread(np.zeros(self.layout.num_devices, np.int32))
        return self._jitted.lower(self._turns, state, tokens, np.float32(0), stops)

    def _spread(self, array: np.ndarray) -> Array:
        sharding = NamedSharding(self.layout.mesh, PartitionSpec(AXIS))
        return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])

    def _step(
        self,
        turns: Turns,
        state: TrainState,
        tokens: Array,
        learning_rate: Array,
        stops: Array,
    ) -> tuple[TrainState, StepOutput]:
        self.num_traces += 1
        loss, grads = self._sum_gradients(turns, state.weights, tokens)
        to_mean = np.float32(1 / self._num_parts)  # a power of two: exact
        loss = loss * to_mean
        grad_norm = self._norm(turns, grads) * to_mean
        is_finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        is_failed = state.is_failed | (~is_finite).astype(jnp.int32)
        # After a failure the loop over rows has no turns, and the state stays.
        rows_to_update = jnp.where(is_failed == 1, jnp.int32(0), turns.rows)
        scale = to_mean * clip_factor(self._plan.optimizer, grad_norm)
        state, sums = self._update(
            turns, rows_to_update, state, grads, scale, learning_rate
        )
        output = StepOutput(
            loss=loss,
            grad_norm=grad_norm,
            weights=sums,
            batch=_fingerprint_batch(tokens),
            is_failed=is_failed,
            num_stop=lax.psum(stops[0], AXIS),
        )
        return state._replace(
            num_updates=state.num_updates + 1 - is_failed, is_failed=is_failed
        ), output

    def _sum_gradients(
        self, turns: Turns, weights: Rows, tokens: Array
    ) -> tuple[Array, Rows]:
        """Return the sum of losses, and this device's rows of the sum of gradients."""
        model, layout = self._plan.model, self.layout
        fused = fuse(model, all_from_rows(self._all_rows(weights), layout.shapes))
        parts = tokens.reshape(self._parts_here, -1, tokens.shape[1])
        # One part more than is used: with a single one, looking it up would be no
        # function of the loop's turn, and the loop's whole body could be moved out.
        parts = jnp.concatenate([parts, parts[:1]])

        def loss_and_gradients(part: Array) -> tuple[Array, Any]:
            part_tokens = lax.dynamic_index_in_dim(parts, part, keepdims=False)
            return jax.value_and_grad(
                lambda params: lane_loss(model, params, part_tokens)
            )(fused)

        zeros = jax.tree.map(jnp.zeros_like, (jnp.float32(0), fused))
        loss, fused_sums = exact_sum(
            loss_and_gradients, zeros, num_lanes=self._parts_here, turns=turns
        )
        sums = all_to_rows(unfuse(model, fused_sums), layout.num_rows)
        loss, shares = self._sum_over_devices(loss, sums)
        if layout.sharding == "replicated":
            return loss, gather_rows(shares)
        return loss, shares

    def _sum_over_devices(self, loss: Array, rows: Rows) -> tuple[Array, Rows]:
        devices = self.layout.num_devices
        if self._plan.determinism == "exact":
            return exact_sum_everywhere(loss, num_devices=devices), {
                name: exact_sum_scattered(value, num_devices=devices)
                for name, value in rows.items()
            }
        return lax.psum(loss, AXIS), {
            name: lax.psum_scatter(value, AXIS, tiled=True)
            for name, value in rows.items()
        }

    def _all_rows(self, rows: Rows) -> Rows:
        return rows if self.layout.sharding == "replicated" else gather_rows(rows)

    def _norm(self, turns: Turns, grads: Rows) -> Array:
        """Return the root of the sum of squares, by a tree over rows."""

        def add_row(row: Array, squares_R: Array) -> Array:
            values = _row(grads, row).values()
            return squares_R.at[row].set(sum(jnp.sum(x * x) for x in values))

        squares_R = jnp.zeros(self.layout.rows_here, jnp.float32)
        squares_R = lax.fori_loop(0, turns.rows, add_row, squares_R)
        if self.layout.sharding == "sharded":
            squares_R = lax.all_gather(squares_R, AXIS, tiled=True)
        return jnp.sqrt(sum_by_halves(squares_R))

    def _update(
        self,
        turns: Turns,
        num_rows: Array,
        state: TrainState,
        grads: Rows,
        scale: Array,
        learning_rate: Array,
    ) -> tuple[TrainState, Array]:
        """Update row by row, and fingerprint the new weights on the way."""
        rows_here = self.layout.rows_here
        is_sharded = self.layout.sharding == "sharded"
        device = lax.axis_index(AXIS) if is_sharded else jnp.int32(0)

        def update_row(
            row: Array, carry: tuple[Rows, Rows, Rows, Array]
        ) -> tuple[Rows, Rows, Rows, Array]:
            *groups, sums = carry
            grad = _row(grads, row)
            start = (device * rows_here + row).astype(jnp.uint32)

            def update(
                _: Array, old: tuple[Rows, Rows, Rows, Array]
            ) -> tuple[Rows, Rows, Rows, Array]:
                weights, mu, nu, sums = old
                clipped = {name: x * scale for name, x in grad.items()}
                moments = (state.num_updates, mu, nu)
                steps, mu, nu = adamw_steps(self._optimizer, clipped, moments, weights)
                weights = apply_steps(weights, steps, learning_rate)
                for name, x in weights.items():
                    first = start * np.uint32(x.size)
                    bits = float_bits(x)
                    sums = sums + partial_fingerprint(jnp, name, bits, first)
                return weights, mu, nu, sums

            # A loop of one turn, because what is read must be read before any of it
            # is written: else the compiler copies the whole state for every row.
            rows = tuple(_row(group, row) for group in groups)
            *rows, sums = lax.fori_loop(0, turns.one, update, (*rows, sums))
            new = (_with_row(g, row, r) for g, r in zip(groups, rows, strict=True))
            return (*new, sums)

        carry = (state.weights, state.mu, state.nu, jnp.zeros(SUMS, jnp.uint32))
        weights, mu, nu, sums = lax.fori_loop(0, num_rows, update_row, carry)
        if is_sharded:
            sums = lax.psum(sums, AXIS)
        return state._replace(weights=weights, mu=mu, nu=nu), sums


def build_train_step(plan: Plan, stage: PlannedStage, layout: Layout) -> TrainStep:
    """Build the step of a stage; it is compiled when it is first called."""
    return TrainStep(plan, stage, layout)


def _fingerprint_batch(tokens: Array) -> Array:
    start = lax.axis_index(AXIS).astype(jnp.uint32) * np.uint32(tokens.size)
    bits = float_bits(tokens.reshape(-1))
    sums: Array = lax.psum(partial_fingerprint(jnp, BATCH_NAME, bits, start), AXIS)
    return sums


def gather_rows(rows: Rows) -> Rows:
    """Give every device all rows; inside `shard_map`. Exact, as nothing is computed."""
    return {name: lax.all_gather(x, AXIS, tiled=True) for name, x in rows.items()}


def _row(rows: Rows, index: Array) -> Rows:
    return {
        name: lax.dynamic_index_in_dim(x, index, keepdims=False)
        for name, x in rows.items()
    }


def _with_row(rows: Rows, index: Array, row: Rows) -> Rows:
    return {
        name: lax.dynamic_update_index_in_dim(x, row[name], index, 0)
        for name, x in rows.items()
    }
