"""Next-token loss in chunks of tokens, so that all logits never exist at once.

The gradient is known once the logits of a chunk are, so it is made in the same pass
and nothing is computed twice.
"""

# T tokens, C tokens in a chunk, D model width, V vocabulary

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

CHUNK_LOGITS = 1 << 22
"""Logits in a chunk: 16 MiB of float32."""

MIN_CHUNK_TOKENS = 512
"""Tokens in a chunk, at least: each chunk passes over the whole output matrix."""

Chunk = tuple[Array, Array]
Outputs = TypeVar("Outputs", bound=tuple[Array, ...])


def chunk_tokens(num_tokens: int, vocab_size: int) -> int:
    """Return the tokens per chunk, a number that follows from the shapes alone.

    >>> chunk_tokens(4096, vocab_size=4096), chunk_tokens(8192, vocab_size=256_000)
    (1024, 512)
    """
    return min(num_tokens, max(MIN_CHUNK_TOKENS, CHUNK_LOGITS // vocab_size))


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def mean_loss(hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int) -> Array:
    """Mean cross-entropy over tokens, in nats, float32.

    Args:
        hidden_TD: Normalised output of the last block.
        output_VD: float32; logits are `hidden_TD @ output_VD.T`.
        labels_T: int32, the next tokens.
        chunk: Tokens whose logits exist at once.
    """
    losses = token_losses(hidden_TD, output_VD, labels_T, chunk)
    return jnp.sum(losses) / np.float32(losses.size)


def token_losses(
    hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int
) -> Array:
    """Cross-entropy of each token, in nats, float32; arguments as in `mean_loss`."""
    weights = output_VD.astype(hidden_TD.dtype)

    def losses_of(carry: Array, part: Chunk) -> tuple[Array, tuple[Array]]:
        loss_C, _, _ = _softmax_loss(part, weights)
        return carry, (loss_C,)

    unused = jnp.zeros((), jnp.float32)
    _, (losses,) = _over_chunks(losses_of, unused, (hidden_TD, labels_T), chunk)
    return losses


def _forward(
    hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int
) -> tuple[Array, tuple[Array, Array]]:
    weights = output_VD.astype(hidden_TD.dtype)
    scale = np.float32(1 / labels_T.size)

    def step(d_output_DV: Array, part: Chunk) -> tuple[Array, tuple[Array, Array]]:
        loss_C, softmax_CV, is_label_CV = _softmax_loss(part, weights)
        d_logits = (softmax_CV - is_label_CV.astype(jnp.float32)) * scale
        d_logits = d_logits.astype(hidden_TD.dtype)
        d_hidden_CD = _matmul(d_logits, weights).astype(hidden_TD.dtype)
        d_output_DV = d_output_DV + _matmul(_transpose(part[0]), d_logits)
        return d_output_DV, (loss_C, d_hidden_CD)

    # The other way round than the matrix: what is transposed for it is the narrow side.
    zeros_DV = jnp.zeros(output_VD.shape[::-1], jnp.float32)
    d_output_DV, (losses, d_hidden) = _over_chunks(
        step, zeros_DV, (hidden_TD, labels_T), chunk
    )
    return jnp.sum(losses) * scale, (d_hidden, d_output_DV.T)


def _backward(
    chunk: int, residuals: tuple[Array, Array], d_loss: Array
) -> tuple[Array, Array, None]:
    d_hidden, d_output = residuals
    return d_hidden * d_loss.astype(d_hidden.dtype), d_output * d_loss, None


mean_loss.defvjp(_forward, _backward)


def _softmax_loss(part: Chunk, weights: Array) -> tuple[Array, Array, Array]:
    hidden_CD, labels_C = part
    logits = _matmul(hidden_CD, weights.T)
    top = jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(logits - top)
    total = jnp.sum(exponentials, axis=-1, keepdims=True)
    is_label = lax.broadcasted_iota(jnp.int32, logits.shape, 1) == labels_C[:, None]
    of_label = jnp.sum(jnp.where(is_label, logits, np.float32(0)), axis=-1)
    loss = (top + jnp.log(total))[:, 0] - of_label
    return loss, exponentials / total, is_label


def _over_chunks(
    step: Callable[[Array, Chunk], tuple[Array, Outputs]],
    carry: Array,
    whole: Chunk,
    chunk: int,
) -> tuple[Array, Outputs]:
    """Scan over whole chunks, then take what is left over as one smaller chunk."""
    num_tokens = whole[1].size
    in_chunks = num_tokens // chunk * chunk
    parts = jax.tree.map(
        lambda x: x[:in_chunks].reshape(-1, chunk, *x.shape[1:]), whole
    )
    carry, outputs = lax.scan(step, carry, parts)
    outputs = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)
    if in_chunks == num_tokens:
        return carry, outputs
    carry, last = step(carry, jax.tree.map(lambda x: x[in_chunks:], whole))
    return carry, jax.tree.map(lambda *x: jnp.concatenate(x), outputs, last)


def _matmul(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, preferred_element_type=jnp.float32)


def _transpose(x: Array) -> Array:
    # As in attention: keeps the product in the fast form.
    transposed: Array = lax.optimization_barrier(x.T)
    return transposed
