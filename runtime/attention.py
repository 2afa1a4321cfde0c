"""Causal attention in blocks of queries, with a hand-written backward pass.

A block of queries meets only the keys up to its own end, so the upper triangle of the
score matrix is mostly never computed, and no matrix of all scores ever exists. The
backward pass computes the weights anew from the stored log-sum-exp
(Dao et al., "FlashAttention", 2022).
"""

# B sequences, H heads, L sequence length, K head width, Q queries in a block,
# M keys that a block of queries meets

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

MIN_QUERIES = 128
"""Queries in a block, at least: smaller blocks make small matrices."""

MAX_BLOCKS = 8
"""Blocks in a sequence, at most: each is its own piece of the compiled program."""

_MASKED = -1e30
"""Score of a later key: its exponential is zero in float32."""

Residuals = tuple[Array, Array, Array, Array, Array]


def rope_tables(length: int, head_width: int, theta: float) -> tuple[Array, Array]:
    """Return cosines and sines of the rotary embedding, (L, K / 2), float32.

    Computed in float64 on the host: the same bits on every kind of device.
    """
    frequency_K = theta ** (-np.arange(0, head_width, 2) / head_width)
    angle_LK = np.arange(length)[:, None] * frequency_K[None, :]
    return jnp.asarray(np.cos(angle_LK), jnp.float32), jnp.asarray(
        np.sin(angle_LK), jnp.float32
    )


def rotate(x_BHLK: Array, tables: tuple[Array, Array]) -> Array:
    """Apply the rotary position embedding (Su et al., 2021), first half with second.

    Args:
        x_BHLK: Queries or keys.
        tables: From `rope_tables`.
    """
    cos, sin = (jnp.broadcast_to(t, (*x_BHLK.shape[:2], *t.shape)) for t in tables)
    first, second = jnp.split(x_BHLK.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate(
        [first * cos - second * sin, second * cos + first * sin], axis=-1
    )
    return turned.astype(x_BHLK.dtype)


@jax.custom_vjp
def causal_attention(q_BHLK: Array, k_BHLK: Array, v_BHLK: Array) -> Array:
    """Average values with softmax weights of queries times keys, keys not later.

    softmax(q k^T / sqrt(K)) v; scores and weights in float32.
    """
    return _forward(q_BHLK, k_BHLK, v_BHLK)[0]


def _forward(q: Array, k: Array, v: Array) -> tuple[Array, Residuals]:
    outputs, lses = [], []
    for block, keys in _blocks(q.shape[2]):
        scores = _scores(q[:, :, block], k[:, :, keys], block)
        top = jnp.max(scores, axis=-1, keepdims=True)
        weights = jnp.exp(scores - top)
        total = jnp.sum(weights, axis=-1, keepdims=True)
        mixed = _matmul("bhqm,bhmk->bhqk", weights.astype(v.dtype), v[:, :, keys])
        outputs.append((mixed / total).astype(v.dtype))
        lses.append(top + jnp.log(total))
    out = jnp.concatenate(outputs, axis=2)
    return out, (q, k, v, out, jnp.concatenate(lses, axis=2))


def _backward(residuals: Residuals, d_out: Array) -> tuple[Array, Array, Array]:
    q, k, v, out, lse = residuals
    scale = np.float32(q.shape[3] ** -0.5)
    # The derivative of softmax needs only this sum over the head width.
    delta = jnp.sum(
        d_out.astype(jnp.float32) * out.astype(jnp.float32), axis=-1, keepdims=True
    )
    dq, dk, dv = [], jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    for block, keys in _blocks(q.shape[2]):
        scores = _scores(q[:, :, block], k[:, :, keys], block)
        weights = jnp.exp(scores - lse[:, :, block])
        d_weights = _matmul("bhqk,bhmk->bhqm", d_out[:, :, block], v[:, :, keys])
        d_scores = (weights * (d_weights - delta[:, :, block])).astype(q.dtype)
        dq.append(scale * _matmul("bhqm,bhmk->bhqk", d_scores, k[:, :, keys]))
        dk = dk.at[:, :, keys].add(
            scale * _matmul("bhmq,bhqk->bhmk", _transpose(d_scores), q[:, :, block])
        )
        dv = dv.at[:, :, keys].add(
            _matmul(
                "bhmq,bhqk->bhmk",
                _transpose(weights.astype(q.dtype)),
                d_out[:, :, block],
            )
        )
    d_q = jnp.concatenate(dq, axis=2)
    return d_q.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype)


causal_attention.defvjp(_forward, _backward)


def _blocks(length: int) -> list[tuple[slice, slice]]:
    """Return the slice of queries and the slice of keys of each block."""
    size = max(MIN_QUERIES, -(-length // MAX_BLOCKS))
    stops = [*range(size, length, size), length]
    starts = [0, *stops[:-1]]
    return [(slice(i, j), slice(0, j)) for i, j in zip(starts, stops, strict=True)]


def _scores(q_BHQK: Array, k_BHMK: Array, block: slice) -> Array:
    scale = np.float32(q_BHQK.shape[3] ** -0.5)
    scores = _matmul("bhqk,bhmk->bhqm", q_BHQK, k_BHMK) * scale
    is_later = (
        np.arange(block.stop)[None, :] > np.arange(block.start, block.stop)[:, None]
    )
    return jnp.where(
        jnp.broadcast_to(is_later, scores.shape), np.float32(_MASKED), scores
    )


def _matmul(spec: str, left: Array, right: Array) -> Array:
    return jnp.einsum(spec, left, right, preferred_element_type=jnp.float32)


def _transpose(x: Array) -> Array:
    # The barrier keeps the transpose from being folded into the product: on CPU a
    # product over the left side's first axis takes a path half as fast.
    transposed: Array = lax.optimization_barrier(jnp.swapaxes(x, -1, -2))
    return transposed
