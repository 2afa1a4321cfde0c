"""Attention in blocks of queries, with a hand-written backward pass, for any device.

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
from jax.ad_checkpoint import checkpoint_name

from runtime.attention_results import LOG_SUMS, OUTPUT

MIN_QUERIES = 128
"""Queries in a block, at least: smaller blocks make small matrices."""

MAX_BLOCKS = 8
"""Blocks in a sequence, at most: each is its own piece of the compiled program."""

_MASKED = -1e30
"""Score of a key that is not seen: its exponential is zero in float32."""

Residuals = tuple[Array, Array, Array, Array | None, Array, Array]


@jax.custom_vjp
def blocked_attention(
    q_BHLK: Array, k_BHLK: Array, v_BHLK: Array, documents_BL: Array | None
) -> Array:
    """Average values with softmax weights of queries times keys, keys not later.

    softmax(q k^T / sqrt(K)) v; scores and weights in float32.

    Args:
        q_BHLK: Queries.
        k_BHLK: Keys, as many heads as queries have.
        v_BHLK: Values.
        documents_BL: Only keys of the query's own document are seen; None: all are.
    """
    return _forward(q_BHLK, k_BHLK, v_BHLK, documents_BL)[0]


def _forward(
    q: Array, k: Array, v: Array, documents: Array | None
) -> tuple[Array, Residuals]:
    outputs, lses = [], []
    for block, keys in _blocks(q.shape[2]):
        scores = _scores(q[:, :, block], k[:, :, keys], block, documents)
        top = jnp.max(scores, axis=-1, keepdims=True)
        weights = jnp.exp(scores - top)
        total = jnp.sum(weights, axis=-1, keepdims=True)
        mixed = _matmul("bhqm,bhmk->bhqk", weights.astype(v.dtype), v[:, :, keys])
        outputs.append((mixed / total).astype(v.dtype))
        lses.append(top + jnp.log(total))
    out = checkpoint_name(jnp.concatenate(outputs, axis=2), OUTPUT)
    lse = checkpoint_name(jnp.concatenate(lses, axis=2), LOG_SUMS)
    return out, (q, k, v, documents, out, lse)


def _backward(residuals: Residuals, d_out: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, documents, out, lse = residuals
    scale = np.float32(q.shape[3] ** -0.5)
    # The derivative of softmax needs only this sum over the head width.
    delta = jnp.sum(
        d_out.astype(jnp.float32) * out.astype(jnp.float32), axis=-1, keepdims=True
    )
    dq, dk, dv = [], jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    for block, keys in _blocks(q.shape[2]):
        scores = _scores(q[:, :, block], k[:, :, keys], block, documents)
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
    return d_q.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype), None


blocked_attention.defvjp(_forward, _backward)


def _blocks(length: int) -> list[tuple[slice, slice]]:
    """Return the slice of queries and the slice of keys of each block."""
    size = max(MIN_QUERIES, -(-length // MAX_BLOCKS))
    stops = [*range(size, length, size), length]
    starts = [0, *stops[:-1]]
    return [(slice(i, j), slice(0, j)) for i, j in zip(starts, stops, strict=True)]


def _scores(
    q_BHQK: Array, k_BHMK: Array, block: slice, documents_BL: Array | None
) -> Array:
    scale = np.float32(q_BHQK.shape[3] ** -0.5)
    scores = _matmul("bhqk,bhmk->bhqm", q_BHQK, k_BHMK) * scale
    is_later_QM = (
        np.arange(block.stop)[None, :] > np.arange(block.start, block.stop)[:, None]
    )
    is_unseen = jnp.broadcast_to(is_later_QM, scores.shape)
    if documents_BL is not None:
        of_queries = documents_BL[:, None, block, None]
        of_keys = documents_BL[:, None, None, : block.stop]
        is_unseen |= of_queries != of_keys
    return jnp.where(is_unseen, np.float32(_MASKED), scores)


def _matmul(spec: str, left: Array, right: Array) -> Array:
    return jnp.einsum(spec, left, right, preferred_element_type=jnp.float32)


def _transpose(x: Array) -> Array:
    # The barrier keeps the transpose from being folded into the product: on CPU a
    # product over the left side's first axis takes a path half as fast.
    transposed: Array = lax.optimization_barrier(jnp.swapaxes(x, -1, -2))
    return transposed
