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

from runtime.attention import NO_TOKEN
from runtime.devices import return_free_memory
from runtime.fingerprint import SUMS, partial_fingerprint
from runtime.lane_sums import LaneSums, build_lane_sums
from runtime.numerics import BATCH, SLICE, Turns, turns
from runtime.optimizer import build_optimizer, clip_factor
from runtime.state import Layout, Rows, TrainState
from runtime.tensors import float_bits
from runtime.update import Update
from specs.plan import Plan, PlannedStage

BATCH_NAME = "batch"
"""Name under which a batch of tokens is fingerprinted."""

LANES = (SLICE, BATCH)
"""The axes that a batch is spread over."""


class StepOutput(NamedTuple):
    """What a step tells; the same on every device."""

    loss: float
    """Mean over the batch before the update, nats, float32."""
    grad_norm: float
    """Before clipping, float32."""
    weights: np.ndarray
    """Fingerprint of the weights after the update, uint32 (4,)."""
    tensor_words: np.ndarray
    """First sum of the fingerprint of each tensor, by name, uint32 (tensors,)."""
    batch: np.ndarray
    """Fingerprint of the tokens, uint32 (4,)."""
    is_failed: bool
    """Whether this or an earlier step was not finite."""
    num_stop: int
    """Devices whose process asks to stop."""


def read_output(told: Array) -> StepOutput:
    """Wait for a step and read what it tells.

    Args:
        told: As `TrainStep` returns it: one array of all numbers, since each array that
            is fetched costs the host as much as a thousand numbers do.
    """
    words = np.asarray(told)
    loss, grad_norm = words[:2].view(np.float32)
    return StepOutput(
        loss=float(loss),
        grad_norm=float(grad_norm),
        is_failed=bool(words[2]),
        num_stop=int(words[3]),
        batch=words[4 : 4 + SUMS],
        weights=words[4 + SUMS : 4 + 2 * SUMS],
        tensor_words=words[4 + 2 * SUMS :],
    )


class _Constants(NamedTuple):
    """Arguments of the step that lie on the devices."""

    turns: Turns
    go_on: Array
    stop: Array


class TrainStep:
    """The compiled step of stages with one shape of batch."""

    def __init__(
        self,
        plan: Plan,
        stage: PlannedStage,
        layout: Layout,
        eos_id: int = NO_TOKEN,
    ) -> None:
        self.layout = layout
        self.num_traces = 0
        self._plan = plan
        self._stage = stage
        self._sums: LaneSums = build_lane_sums(plan, stage, layout, eos_id)
        optimizer = build_optimizer(plan.optimizer, layout.shapes)
        self._update = Update(layout, optimizer)
        self._turns = turns(layout.rows_here)
        spread, same = PartitionSpec(LANES), PartitionSpec()
        body = jax.shard_map(
            self._step,
            mesh=layout.mesh,
            in_specs=(same, layout.state_spec, spread, same, spread),
            out_specs=(layout.state_spec, same),
            check_vma=False,
        )
        self._jitted = jax.jit(body, donate_argnums=1)
        self._executable: jax.stages.Compiled | None = None
        self._constants: _Constants

    def __call__(
        self,
        state: TrainState,
        tokens: Array,
        learning_rate: float | Array,
        is_stopping: bool = False,
    ) -> tuple[TrainState, Array]:
        """Take one step; the arrays of `state` are used up.

        Args:
            state: In this step's layout.
            tokens: From `place_tokens`.
            learning_rate: Rounded to float32; or from `place_rate`, which costs the
                caller less here.
            is_stopping: Whether this process asks to stop.

        Returns:
            The state after it, and what `read_output` reads.
        """
        if self._executable is None:
            # Once: an array that comes from the host costs every step.
            self._constants = _Constants(
                turns=jax.tree.map(self._everywhere, self._turns),
                go_on=self._stops(False),
                stop=self._stops(True),
            )
        known = self._constants
        stops = known.stop if is_stopping else known.go_on
        if not isinstance(learning_rate, Array):
            learning_rate = self.place_rate(learning_rate)
        arguments = (known.turns, state, tokens, learning_rate, stops)
        if self._executable is None:
            self._executable = self._jitted.lower(*arguments).compile()
            # Making the state and compiling leave free memory behind that would stay
            # with this process beside what the step needs.
            return_free_memory()
        done: tuple[TrainState, Array] = self._executable(*arguments)
        return done

    def place_tokens(self, tokens_BL: np.ndarray) -> Array:
        """Give each device its rows of a batch, int32 (B, L + 1)."""
        dealt = self._sums.deal(np.asarray(tokens_BL, np.int32))
        return self._spread(np.ascontiguousarray(dealt))

    def place_rate(self, learning_rate: float) -> Array:
        """Give each device the learning rate of a step, float32."""
        return self._everywhere(np.asarray(learning_rate, np.float32))

    def tensor_words(self, weights: Rows) -> np.ndarray:
        """Return what `StepOutput.tensor_words` would be of some weights."""
        same = PartitionSpec()

        def words(turns: Turns, weights: Rows) -> Array:
            ours = {name: x[0] for name, x in weights.items()}
            return self._update.fingerprints(turns, ours)[:, 0]

        body = jax.shard_map(
            words,
            mesh=self.layout.mesh,
            in_specs=(same, self.layout.state_spec.weights),
            out_specs=same,
            check_vma=False,
        )
        return np.asarray(jax.jit(body)(self._turns, weights))

    def rows_here(self) -> np.ndarray:
        """Return which rows of a batch the devices of this process work on, int64."""
        dealt_B = self._sums.deal(np.arange(self._stage.sequences_per_step)[:, None])
        sharding = NamedSharding(self.layout.mesh, PartitionSpec(LANES))
        places = sharding.addressable_devices_indices_map(dealt_B.shape)
        return np.unique(np.concatenate([dealt_B[at] for at in places.values()]))

    def lower_abstract(self) -> Any:
        """Lower the step for the layout's mesh, without any array.

        The devices may be those of a topology that is not at hand.
        """
        stage = self._stage
        spread = NamedSharding(self.layout.mesh, PartitionSpec(LANES))
        shape = (stage.sequences_per_step, stage.sequence_length + 1)
        tokens = jax.ShapeDtypeStruct(shape, np.int32, sharding=spread)
        number = (self.layout.num_devices,)
        stops = jax.ShapeDtypeStruct(number, np.int32, sharding=spread)
        state = self.layout.abstract_state()
        return self._jitted.lower(self._turns, state, tokens, np.float32(0), stops)

    def _stops(self, is_stopping: bool) -> Array:
        return self._spread(np.full(self.layout.num_devices, is_stopping, np.int32))

    def _everywhere(self, number: np.ndarray) -> Array:
        sharding = NamedSharding(self.layout.mesh, PartitionSpec())
        return jax.make_array_from_callback((), sharding, lambda _: np.asarray(number))

    def _spread(self, array: np.ndarray) -> Array:
        sharding = NamedSharding(self.layout.mesh, PartitionSpec(LANES))
        return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])

    def _step(
        self,
        turns: Turns,
        state: TrainState,
        tokens: Array,
        learning_rate: Array,
        stops: Array,
    ) -> tuple[TrainState, Array]:
        self.num_traces += 1
        # Inside, a device has one part of each tensor, and no axis over parts.
        state = _mapped(lambda x: x[0], state)
        loss, grads = self._sums.of(turns, state.weights, tokens)
        to_mean = np.float32(1 / self._sums.num_parts)  # a power of two: exact
        num_tokens = self._stage.sequences_per_step * self._stage.sequence_length
        loss = loss * np.float32(1 / num_tokens)
        grad_norm = self._update.norm(turns, grads) * to_mean
        is_finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        is_failed = state.is_failed | (~is_finite).astype(jnp.int32)
        # After a failure the loop over rows has no turns, and the state stays.
        rows_to_update = jnp.where(is_failed == 1, jnp.int32(0), turns.rows)
        scale = to_mean * clip_factor(self._plan.optimizer, grad_norm)
        state, sums = self._update.apply(
            turns, rows_to_update, state, grads, scale, learning_rate
        )
        told = jnp.concatenate(
            [
                float_bits(jnp.stack([loss, grad_norm])),
                is_failed.astype(jnp.uint32)[None],
                lax.psum(stops[0], LANES).astype(jnp.uint32)[None],
                self._fingerprint_batch(tokens),
                jnp.sum(sums, axis=0, dtype=jnp.uint32),
                sums[:, 0],
            ]
        )
        state = state._replace(
            num_updates=state.num_updates + 1 - is_failed, is_failed=is_failed
        )
        return _mapped(lambda x: x[None], state), told

    def _fingerprint_batch(self, tokens: Array) -> Array:
        bits = float_bits(tokens.reshape(self._sums.parts_here, -1))
        starts = self._sums.part_indices().astype(jnp.uint32) * np.uint32(bits.shape[1])
        sums = jax.vmap(
            lambda part, start: partial_fingerprint(jnp, BATCH_NAME, part, start)
        )(bits, starts)
        total: Array = lax.psum(jnp.sum(sums, axis=0, dtype=jnp.uint32), LANES)
        return total


def build_train_step(
    plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int = NO_TOKEN
) -> TrainStep:
    """Build the step of a stage; it is compiled when it is first called."""
    return TrainStep(plan, stage, layout, eos_id)


def _mapped(change: Any, state: TrainState) -> TrainState:
    """Change each array of rows of a state."""

    def each(rows: Rows) -> Rows:
        return {name: change(x) for name, x in rows.items()}

    return state._replace(
        weights=each(state.weights), mu=each(state.mu), nu=each(state.nu)
    )
