"""The compiled programs of generation: one reads prompts, one goes on from them.

Every device has one lane: a fixed number of rows with a cache of a fixed number of
slots. Rows come and go; a lane is computed whole whether all of its rows are in use or
one.
"""

# N rows of all lanes, B rows of a lane, Q prompts read at once per lane, W tokens of a
# prompt's row, C slots

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import PartitionSpec
from numpy.typing import NDArray

from runtime.asked_weights import LANES, SAME, Asked, here
from runtime.fused import Parameters
from runtime.generation_choice import Draw, drawn, likeliest
from runtime.generation_layers import (
    Cache,
    by_layer,
    empty_cache,
    next_logits,
    prompt_logits,
)
from runtime.numerics import BATCH, SLICE, TENSOR
from runtime.scoring import Sampling
from runtime.scoring_shapes import CHUNK_TOKENS, LANE_ROWS

CACHE = PartitionSpec((SLICE, BATCH), TENSOR)


class RowState(NamedTuple):
    """What a device is told of each row, int32 (N,) and uint32 (N, 2)."""

    token: Any
    """The last token, which is not in the cache yet."""
    at: Any
    """Its position."""
    first: Any
    """First position that is seen."""
    count: Any
    """Tokens of the answer so far."""
    keys: Any
    """For drawing."""


class PromptRows(NamedTuple):
    """Prompts that are read at once, with the rows that they go to."""

    tokens: Any
    """int32 (N, W)."""
    last: Any
    """Position of the last token."""
    row: Any
    """Row of the lane; `LANE_ROWS`, which is none, for rows of padding."""
    keys: Any
    """For drawing."""


class Heat(NamedTuple):
    """How tokens are drawn; without effect where the likeliest is taken."""

    temperature: Any
    top_p: Any


@dataclass(frozen=True)
class Programs:
    """Compiled when they are first used, for each shape."""

    asked: Asked
    _compiled: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def hold(self, params: Parameters) -> Parameters:
        """Lay weights as the programs want them.

        Args:
            params: From `Asked.hold`.
        """
        taken: Parameters = self._once(("hold",), lambda: jax.jit(by_layer))(params)
        return taken

    def empty(self, num_slots: int) -> Cache:
        """Make the caches of all lanes."""

        def build() -> Any:
            program = self.asked.program(num_slots)

            def cache() -> Cache:
                made: Cache = empty_cache(program, LANE_ROWS, num_slots)
                return made

            return self.asked.compiled(cache, (), CACHE)

        made: Cache = self._once(("empty", num_slots), build)()
        return made

    def read(
        self,
        params: Parameters,
        cache: Cache,
        prompts: PromptRows,
        sampling: Sampling,
    ) -> tuple[Array, Cache]:
        """Read prompts into rows; return the first token of each answer, (N,).

        Args:
            params: From `hold`.
            cache: Given up.
            prompts: `prompts_of(W)` for each lane.
            sampling: How tokens are chosen.
        """
        width, num_slots = prompts.tokens.shape[1], cache[0][0].shape[2]
        is_greedy = sampling.temperature == 0

        def build() -> Any:
            program = self.asked.program(width)

            def lane(
                params: Parameters, cache: Cache, prompts: PromptRows, heat: Heat
            ) -> tuple[Array, Cache]:
                logits, found = prompt_logits(
                    program, here(params), prompts.tokens, prompts.last
                )
                cache = jax.tree.map(
                    lambda x, new: x.at[prompts.row, :, :width].set(new, mode="drop"),
                    cache,
                    found,
                )
                if is_greedy:
                    token = likeliest(logits)
                else:
                    count = jnp.zeros_like(prompts.last)
                    token = drawn(logits, Draw(prompts.keys, count, *heat))
                return _everywhere(token), cache

            return self._compile(lane, SAME)

        program = self._once(("read", width, num_slots, is_greedy), build)
        found: tuple[Array, Cache] = program(
            params, cache, self._placed(prompts), _heat(sampling)
        )
        return found

    def go_on(
        self,
        params: Parameters,
        cache: Cache,
        rows: RowState,
        sampling: Sampling,
        num_tokens: int,
    ) -> tuple[Array, Cache]:
        """Generate tokens for all rows; return them, (N, `CHUNK_TOKENS`).

        Args:
            params: From `hold`.
            cache: Given up.
            rows: Of every lane.
            sampling: How tokens are chosen.
            num_tokens: How many; what is returned after them means nothing.
        """
        num_slots = cache[0][0].shape[2]
        is_greedy = sampling.temperature == 0

        def build() -> Any:
            program = self.asked.program(num_slots)

            def lane(
                params: Parameters,
                cache: Cache,
                rows: RowState,
                heat: Heat,
                num_tokens: Array,
            ) -> tuple[Array, Cache]:
                inside = here(params)

                def step(turn: Array, carry: Any) -> Any:
                    cache, token, tokens = carry
                    at = jnp.minimum(rows.at + turn, np.int32(num_slots - 1))
                    logits, cache = next_logits(
                        program, inside, cache, token, at, rows.first
                    )
                    if is_greedy:
                        token = likeliest(logits)
                    else:
                        draw = Draw(rows.keys, rows.count + turn, *heat)
                        token = drawn(logits, draw)
                    return cache, token, tokens.at[:, turn].set(token)

                tokens = jnp.zeros((rows.token.size, CHUNK_TOKENS), jnp.int32)
                cache, _, tokens = lax.fori_loop(
                    0, num_tokens, step, (cache, rows.token, tokens)
                )
                return _everywhere(tokens), cache

            return self._compile(lane, SAME, SAME)

        program = self._once(("go on", num_slots, is_greedy), build)
        found: tuple[Array, Cache] = program(
            params, cache, self._placed(rows), _heat(sampling), np.int32(num_tokens)
        )
        return found

    def _compile(self, lane: Any, *specs: Any) -> Any:
        asked = self.asked
        params_spec = by_layer_spec(asked.params_spec, asked.plan.model.layers)
        in_specs = (params_spec, CACHE, LANES, *specs)
        return asked.compiled(lane, in_specs, (SAME, CACHE), donated=1)

    def _placed(self, arrays: Any) -> Any:
        return jax.tree.map(self.asked.place, arrays)

    def _once(self, name: tuple[Any, ...], build: Callable[[], Any]) -> Any:
        if name not in self._compiled:
            self._compiled[name] = build()
        return self._compiled[name]


def by_layer_spec(params_spec: Any, num_layers: int) -> Any:
    """Return the partition of what `by_layer` returns."""
    if isinstance(params_spec, PartitionSpec):
        return params_spec
    top = dict(params_spec["params"])
    stacks = top.pop("blocks")
    # The axis over layers, the second, is gone.
    layer = {name: PartitionSpec(spec[0], *spec[2:]) for name, spec in stacks.items()}
    return {"params": {**top, "blocks": (layer,) * num_layers}}


def split_key(number: int) -> NDArray[np.uint32]:
    """Return a 64-bit key as two words."""
    return np.array([number >> 32, number & 0xFFFFFFFF], np.uint32)


def _heat(sampling: Sampling) -> Heat:
    return Heat(np.float32(sampling.temperature), np.float32(sampling.top_p))


def _everywhere(x: Array) -> Array:
    gathered: Array = lax.all_gather(x, (SLICE, BATCH), tiled=True)
    return gathered
