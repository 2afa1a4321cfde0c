"""Attention as the formula is written, and inputs for it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runtime.attention import document_ids

EOS = 1


def on_paper(q: Any, k: Any, v: Any, documents: Any = None) -> Any:
    """softmax(q k^T / sqrt(K)) v in float32, with the whole matrix of scores."""
    _, heads, length, head_width = q.shape
    q, k, v = (x.astype(jnp.float32) for x in (q, k, v))
    k, v = (jnp.repeat(x, heads // k.shape[1], axis=1) for x in (k, v))
    scores = jnp.einsum("bhqk,bhmk->bhqm", q, k) / np.float32(np.sqrt(head_width))
    seen = np.tril(np.ones((length, length), bool))[None, None]
    if documents is not None:
        documents = np.asarray(documents)
        seen = seen & (documents[:, None, :, None] == documents[:, None, None, :])
    seen = jnp.broadcast_to(seen, scores.shape)
    return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ v


def draw(
    rng: np.random.Generator,
    *,
    batch: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    length: int,
    head_width: int = 8,
    dtype: Any = jnp.float32,
) -> tuple[Any, Any, Any, Any]:
    """Queries, keys, values, and the derivative by the output."""
    shapes = [
        (batch, n, length, head_width) for n in (heads, kv_heads, kv_heads, heads)
    ]
    return tuple(jnp.asarray(rng.standard_normal(s), dtype) for s in shapes)


def draw_documents(rng: np.random.Generator, length: int, batch: int = 2) -> Any:
    tokens = rng.integers(EOS, EOS + 6, (batch, length), np.int32)
    return document_ids(jnp.asarray(tokens), EOS)


def outputs_and_gradients(function: Any, q: Any, k: Any, v: Any, d_out: Any) -> Any:
    out, pull = jax.vjp(jax.jit(function), q, k, v)
    return (out, *pull(d_out.astype(out.dtype)))
