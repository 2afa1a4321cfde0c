"""The update of this device's rows, and what is measured on the way.

A loop over rows, one row of every layer of every tensor at a time: the number of turns
depends on the devices, and nothing inside does.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from runtime.fingerprint import SUMS, fingerprint_at
from runtime.numerics import BATCH, TENSOR, Turns, sum_by_halves
from runtime.optimizer import adamw_steps, apply_steps
from runtime.state import Layout, Rows, TrainState
from runtime.tensors import float_bits, layer_shape, parts_of


@dataclass(frozen=True)
class Update:
    """Norm of the gradients and AdamW over rows; used inside `shard_map`."""

    layout: Layout
    optimizer: optax.GradientTransformation

    def norm(self, turns: Turns, grads: Rows) -> Array:
        """Return the root of the sum of squares, by a tree over rows."""

        def add_row(row: Array, squares_R: Array) -> Array:
            one = _row(grads, row)
            # In the order of the model: that of `grads` depends on the layout.
            found = [
                self._counted_once(name, jnp.sum(one[name] * one[name]))
                for name in self.layout.shapes
            ]
            return squares_R.at[row].set(sum(found))

        squares_R = jnp.zeros(self.layout.rows_here, jnp.float32)
        squares_R = lax.fori_loop(0, turns.rows, add_row, squares_R)
        if self.layout.num_shares > 1:
            squares_R = lax.all_gather(squares_R, BATCH, tiled=True)
        if self.layout.num_parts > 1:
            squares_R = lax.all_gather(squares_R, TENSOR, tiled=True)
        return jnp.sqrt(sum_by_halves(squares_R))

    def apply(
        self,
        turns: Turns,
        num_rows: Array,
        state: TrainState,
        grads: Rows,
        scale: Array,
        learning_rate: Array,
    ) -> tuple[TrainState, Array]:
        """Update row by row, and fingerprint the new weights tensor by tensor.

        Args:
            turns: One, unknown to the compiler.
            num_rows: Rows to update: all of this device's, or none.
            state: This device's rows, ([layers,] R, K).
            grads: Its rows of the sum of gradients.
            scale: What gradients are multiplied by.
            learning_rate: Of this step.

        Returns:
            The state, and what `fingerprints` gives of the new weights.
        """

        def update_row(
            row: Array, carry: tuple[Rows, Rows, Rows, Array]
        ) -> tuple[Rows, Rows, Rows, Array]:
            *groups, sums = carry
            grad = _row(grads, row)

            def update(
                _: Array, old: tuple[Rows, Rows, Rows, Array]
            ) -> tuple[Rows, Rows, Rows, Array]:
                weights, mu, nu, sums = old
                clipped = {name: x * scale for name, x in grad.items()}
                moments = (state.num_updates, mu, nu)
                steps, mu, nu = adamw_steps(self.optimizer, clipped, moments, weights)
                weights = apply_steps(weights, steps, learning_rate)
                return weights, mu, nu, sums + self._fingerprints(weights, row)

            # A loop of one turn, because what is read must be read before any of it
            # is written: else the compiler copies the whole state for every row.
            rows = tuple(_row(group, row) for group in groups)
            *rows, sums = lax.fori_loop(0, turns.one, update, (*rows, sums))
            new = (_with_row(g, row, r) for g, r in zip(groups, rows, strict=True))
            return (*new, sums)

        carry = (state.weights, state.mu, state.nu, self._no_sums())
        weights, mu, nu, sums = lax.fori_loop(0, num_rows, update_row, carry)
        sums = lax.psum(sums, (BATCH, TENSOR))
        return state._replace(weights=weights, mu=mu, nu=nu), sums

    def fingerprints(self, turns: Turns, weights: Rows) -> Array:
        """Fingerprint each tensor of this device's rows of some weights.

        Returns:
            uint32 (tensors, 4), tensors sorted by name. The sum over tensors is the
            fingerprint of all weights.
        """

        def add_row(row: Array, sums: Array) -> Array:
            return sums + self._fingerprints(_row(weights, row), row)

        sums = lax.fori_loop(0, turns.rows, add_row, self._no_sums())
        total: Array = lax.psum(sums, (BATCH, TENSOR))
        return total

    def _no_sums(self) -> Array:
        return jnp.zeros((len(self.layout.shapes), SUMS), jnp.uint32)

    def _fingerprints(self, one: Rows, row: Array) -> Array:
        """Sum up one row of each layer of each tensor."""
        names = sorted(self.layout.shapes)
        return jnp.stack([self._fingerprint(name, one[name], row) for name in names])

    def _fingerprint(self, name: str, x: Array, row: Array) -> Array:
        """Sum up one row of each layer; positions are those in the part, layers first.

        Parts of a tensor follow each other.
        """
        layout = self.layout
        shape = layout.part_shape(name)
        length = x.shape[-1]
        row = lax.axis_index(BATCH) * layout.rows_here + row
        first = row.astype(jnp.uint32) * np.uint32(length)
        positions = jnp.arange(length, dtype=jnp.uint32) + first
        if x.ndim > 1:
            per_layer = np.prod(layer_shape(name, shape), dtype=np.int64)
            layers = np.arange(x.shape[0], dtype=np.int64) * per_layer % 2**32
            positions = positions[None, :] + layers.astype(np.uint32)[:, None]
        if parts_of(name, layout.num_parts) > 1:
            per_part = np.uint32(np.prod(shape, dtype=np.int64) % 2**32)
            part = lax.axis_index(TENSOR).astype(jnp.uint32)
            positions = positions + part * per_part
        sums = fingerprint_at(jnp, name, float_bits(x), positions)
        return self._counted_once(name, sums)

    def _counted_once(self, name: str, value: Array) -> Array:
        """Drop what another device that shares products counts already: norms."""
        num_parts = self.layout.num_parts
        if num_parts == 1 or parts_of(name, num_parts) > 1:
            return value
        counted: Array = jnp.where(lax.axis_index(TENSOR) == 0, value, 0)
        return counted.astype(value.dtype)


def _row(rows: Rows, index: Array) -> Rows:
    return {
        name: lax.dynamic_index_in_dim(x, index, x.ndim - 2, keepdims=False)
        for name, x in rows.items()
    }


def _with_row(rows: Rows, index: Array, row: Rows) -> Rows:
    return {
        name: lax.dynamic_update_index_in_dim(x, row[name], index, x.ndim - 2)
        for name, x in rows.items()
    }
