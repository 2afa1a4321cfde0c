"""The network one token at a time, with the keys and values of earlier ones kept.

A row's token at position p has its key and value in slot p of the cache, wherever the
row lies and whatever its neighbours do, so that sums over slots have one order.
Keys are kept rotated.
"""

# B rows, L tokens of a prompt, C slots, D model width, V vocabulary, H heads,
# G key-value heads, K head width, S heads that share a key-value head

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.attention import attend
from runtime.blocks import LaneProgram, apply_block, final_norm, split_heads
from runtime.fused import Parameters
from runtime.model import embedded, tables
from runtime.numerics import TENSOR
from runtime.products import product
from runtime.rope import rope_tables, rotate

Cache = tuple[tuple[Array, Array], ...]
"""Keys and values of each layer, (B, G, C, K)."""

_UNSEEN = -1e30
"""Score of a slot that is not seen: its exponential is zero in float32."""


def by_layer(params: Parameters) -> Parameters:
    """Take stacked layers apart: `blocks` becomes a tuple of what each layer has.

    The program of a token is so short that taking layers from a stack would double it.
    Arrays have an axis over parts before their own.
    """
    top = dict(params["params"])
    stacks = top.pop("blocks")
    num_layers = next(iter(stacks.values())).shape[1]
    layers = tuple(
        {name: x[:, layer] for name, x in stacks.items()} for layer in range(num_layers)
    )
    return {"params": {**top, "blocks": layers}}


def prompt_logits(
    program: LaneProgram, params: Parameters, tokens_BL: Array, last_B: Array
) -> tuple[Array, Cache]:
    """Read prompts.

    Args:
        program: For rows of L tokens.
        params: From `by_layer`, without the axis over parts.
        tokens_BL: Prompts from slot 0 on, and anything after them.
        last_B: Position of each prompt's last token.

    Returns:
        Logits (B, V) of the token after each prompt; keys and values with L slots.
    """
    kept: list[tuple[Array, Array]] = []
    positions = _rotations(program, tokens_BL.shape[1])
    documents_BL = program.attention.documents(tokens_BL)

    def attend_prompt(qkv: Array) -> Array:
        q, k, v = split_heads(program, qkv)
        k = rotate(k, positions)
        kept.append((k, v))
        return attend(
            rotate(q, positions),
            k,
            v,
            kernel=program.attention.kernel,
            documents_BL=documents_BL,
        )

    x_BLD = _embed(program, params, tokens_BL)
    for layer in params["params"]["blocks"]:
        x_BLD = apply_block(program, layer, x_BLD, attend_prompt)
    x_B1D = jnp.take_along_axis(x_BLD, last_B[:, None, None], axis=1)
    return _logits(program, params, x_B1D), tuple(kept)


def next_logits(
    program: LaneProgram,
    params: Parameters,
    cache: Cache,
    token_B: Array,
    at_B: Array,
    first_B: Array,
) -> tuple[Array, Cache]:
    """Go on by one token.

    Args:
        program: Its model and spread.
        params: From `by_layer`, without the axis over parts.
        cache: Slots before `at_B` are filled.
        token_B: The tokens.
        at_B: Their positions.
        first_B: First position that they see.

    Returns:
        Logits (B, V) of the token after; the cache with these in it.
    """
    num_slots = cache[0][0].shape[2]
    cosines, sines = _rotations(program, num_slots)
    at_rows = (cosines[at_B], sines[at_B])
    slots_C = jnp.arange(num_slots, dtype=jnp.int32)[None, :]
    is_unseen_BC = (slots_C > at_B[:, None]) | (slots_C < first_B[:, None])
    kept: list[tuple[Array, Array]] = []

    def attend_cached(old: tuple[Array, Array], qkv: Array) -> Array:
        q, k, v = split_heads(program, qkv)
        keys = _put(old[0], _rotate_rows(k, at_rows), at_B)
        values = _put(old[1], v, at_B)
        kept.append((keys, values))
        return _attend_slots(_rotate_rows(q, at_rows), keys, values, is_unseen_BC)

    x_B1D = _embed(program, params, token_B[:, None])
    for layer, old in zip(params["params"]["blocks"], cache, strict=True):
        x_B1D = apply_block(program, layer, x_B1D, partial(attend_cached, old))
    return _logits(program, params, x_B1D), tuple(kept)


def empty_cache(program: LaneProgram, num_rows: int, num_slots: int) -> Any:
    """Return the cache of a lane on one device."""
    model = program.model
    head_width = model.width // model.heads
    shape = (num_rows, model.kv_heads // program.spread.num_parts, num_slots)
    return tuple(
        (jnp.zeros((*shape, head_width), model.compute),) * 2
        for _ in range(model.layers)
    )


def _embed(program: LaneProgram, params: Parameters, tokens_BL: Array) -> Array:
    embed, _ = tables(program, params)
    return embedded(program, embed.whole(program.model.compute), tokens_BL)


def _logits(program: LaneProgram, params: Parameters, x_B1D: Array) -> Array:
    hidden_B1D = final_norm(program, params["params"], x_B1D)
    _, output = tables(program, params)
    output_VD = output.whole(program.model.compute)
    logits_BV = product(hidden_B1D[:, 0], output_VD.T)
    if program.spread.num_parts == 1:
        return logits_BV
    everywhere: Array = lax.all_gather(logits_BV, TENSOR, axis=1, tiled=True)
    return everywhere


def _rotations(program: LaneProgram, length: int) -> tuple[Array, Array]:
    model = program.model
    return rope_tables(length, model.width // model.heads, float(model.rope_theta))


def _rotate_rows(x_BH1K: Array, at_rows: tuple[Array, Array]) -> Array:
    """Rotate one token per row, each by its own position."""
    rows_as_positions = x_BH1K.transpose(2, 1, 0, 3)
    return rotate(rows_as_positions, at_rows).transpose(2, 1, 0, 3)


def _put(slots_BGCK: Array, new_BG1K: Array, at_B: Array) -> Array:
    rows = jnp.arange(at_B.size, dtype=jnp.int32)
    return slots_BGCK.at[rows, :, at_B].set(
        new_BG1K[:, :, 0], unique_indices=True, indices_are_sorted=True
    )


def _attend_slots(
    q_BH1K: Array, k_BGCK: Array, v_BGCK: Array, is_unseen_BC: Array
) -> Array:
    batch, heads, _, head_width = q_BH1K.shape
    q_BGSK = q_BH1K.reshape(batch, k_BGCK.shape[1], -1, head_width)
    scale = np.float32(head_width**-0.5)
    scores = _einsum("bgsk,bgck->bgsc", q_BGSK, k_BGCK) * scale
    is_unseen = jnp.broadcast_to(is_unseen_BC[:, None, None, :], scores.shape)
    scores = jnp.where(is_unseen, np.float32(_UNSEEN), scores)
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    total = jnp.sum(weights, axis=-1, keepdims=True)
    mixed = _einsum("bgsc,bgck->bgsk", weights.astype(v_BGCK.dtype), v_BGCK)
    return (mixed / total).astype(v_BGCK.dtype).reshape(batch, heads, 1, head_width)


def _einsum(spec: str, left: Array, right: Array) -> Array:
    return jnp.einsum(spec, left, right, preferred_element_type=jnp.float32)
