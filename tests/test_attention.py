"""Attention against the formula as written, with every score in memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plans
import pytest

from runtime import attention_xla
from runtime.attention import Attention, attend, document_ids
from runtime.model import fuse, lane_token_losses
from runtime.tensors import tensor_shapes

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


def test_a_document_ends_with_its_eos() -> None:
    tokens = jnp.asarray([[5, 6, EOS, 7, EOS, EOS, 8], [EOS, 5, 5, 5, 5, 5, EOS]])
    ids = document_ids(tokens, EOS)
    assert ids.dtype == jnp.int32
    np.testing.assert_array_equal(ids, [[0, 0, 0, 1, 1, 2, 3], [0, 1, 1, 1, 1, 1, 1]])


@pytest.mark.parametrize("masked", [False, True], ids=["causal", "document"])
@pytest.mark.parametrize("length", [1, 7, 16, 23])
def test_blocks_do_not_change_attention(
    length: int,
    masked: bool,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention_xla, "MIN_QUERIES", 5)
    arrays = draw(rng, length=length)
    documents = draw_documents(rng, length) if masked else None
    ours = partial(attend, kernel="xla", documents_BL=documents)
    expected = outputs_and_gradients(partial(on_paper, documents=documents), *arrays)
    # Float32 sums of tens of numbers near one, in another order.
    for a, b in zip(outputs_and_gradients(ours, *arrays), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_one_document_is_no_mask_at_all(rng: np.random.Generator) -> None:
    arrays = draw(rng, length=160)
    documents = jnp.zeros((2, 160), jnp.int32)
    plain = outputs_and_gradients(partial(attend, kernel="xla"), *arrays)
    masked = outputs_and_gradients(
        partial(attend, kernel="xla", documents_BL=documents), *arrays
    )
    # Nothing is masked that was not: each number goes through the same operations.
    for a, b in zip(masked, plain, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("block", ["parallel", "sequential"])
def test_a_document_knows_nothing_of_the_one_before(
    block: Any, rng: np.random.Generator
) -> None:
    model = plans.model(block=block)
    weights = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in tensor_shapes(model).items()
    }
    fused = fuse(model, jax.tree.map(jnp.asarray, weights))
    tokens = rng.integers(EOS + 1, model.vocab_size, (2, 17), np.int32)
    tokens[:, 8] = EOS
    changed = tokens.copy()
    changed[:, 3] += 1

    def losses(attention: Attention, tokens: Any) -> Any:
        return np.asarray(
            jax.jit(partial(lane_token_losses, model, attention=attention))(
                fused, tokens
            )
        )

    by_document = Attention(eos_id=EOS)
    before, after = (losses(by_document, t) for t in (tokens, changed))
    # Position 9 is the first of the second document: its label is token 10.
    np.testing.assert_array_equal(before[:, 9:], after[:, 9:])
    assert (before[:, 3:8] != after[:, 3:8]).all()
    causal = losses(Attention(), tokens)
    np.testing.assert_array_equal(causal[:, :9], before[:, :9])
    assert (causal[:, 10:] != before[:, 10:]).all()
