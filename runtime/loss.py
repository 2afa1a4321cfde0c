"""Next-token loss in chunks of tokens, so that all logits never exist at once.

The gradient is known once the logits of a chunk are, so it is made in the same pass
and nothing is computed twice. With tensor parallelism each device has the logits of its
part of the vocabulary, and no device ever has them all.
"""

# T tokens, C tokens in a chunk, D model width, V vocabulary, or its part on a device

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.products import product, transposed
from runtime.spread import Spread

MIN_CHUNK_TOKENS = 512
"""Tokens in a chunk, at least: each chunk passes over the whole output matrix."""

Chunk = tuple[Array, Array]
Outputs = TypeVar("Outputs", bound=tuple[Array, ...])


def chunk_tokens(num_tokens: int, vocab_size: int, logits_at_once: int) -> int:
    """Return the tokens per chunk, a number that follows from the shapes alone.

    >>> chunk_tokens(4096, 4096, 1 << 22), chunk_tokens(8192, 256_000, 1 << 28)
    (1024, 1024)
    """
    most = max(MIN_CHUNK_TOKENS, logits_at_once // vocab_size)
    # Rounded down to a power of two: what is left over at the end is a program more.
    return min(num_tokens, 1 << (most.bit_length() - 1))


def token_losses(
    hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int, spread: Spread
) -> Array:
    """Cross-entropy of each token, in nats; arguments as in `loss_and_gradients`."""

    def losses_of(carry: Array, part: Chunk) -> tuple[Array, tuple[Array]]:
        loss_C, _, _ = _softmax_loss(part, output_VD, spread)
        return carry, (loss_C,)

    unused = jnp.zeros((), jnp.float32)
    _, (losses,) = _over_chunks(losses_of, unused, (hidden_TD, labels_T), chunk)
    return losses


def loss_and_gradients(
    hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int, spread: Spread
) -> tuple[Array, Array, Array]:
    """Sum of cross-entropies, in nats, and the gradients of their mean.

    The sum is not divided here: a product before a sum over devices might be rounded
    with it or before it, as the compiler likes.

    Args:
        hidden_TD: Normalised output of the last block.
        output_VD: In the same format; logits are `hidden_TD @ output_VD.T`.
        labels_T: int32, the next tokens.
        chunk: Tokens whose logits exist at once.
        spread: Which devices have the other parts of the vocabulary.

    Returns:
        The sum of losses; the gradient of `hidden_TD`, in its format; that of
        `output_VD`, float32.
    """
    scale = np.float32(1 / labels_T.size)

    def step(d_output_DV: Array, part: Chunk) -> tuple[Array, tuple[Array, Array]]:
        loss_C, softmax_CV, is_label_CV = _softmax_loss(part, output_VD, spread)
        d_logits = (softmax_CV - is_label_CV.astype(jnp.float32)) * scale
        d_logits = d_logits.astype(hidden_TD.dtype)
        d_hidden_CD = product(d_logits, output_VD).astype(hidden_TD.dtype)
        d_output_DV = d_output_DV + product(transposed(part[0]), d_logits)
        return d_output_DV, (loss_C, d_hidden_CD)

    # The other way round than the matrix: what is transposed for it is the narrow side.
    zeros_DV = jnp.zeros(output_VD.shape[::-1], jnp.float32)
    d_output_DV, (losses, d_hidden) = _over_chunks(
        step, zeros_DV, (hidden_TD, labels_T), chunk
    )
    d_hidden = spread.sum_of_parts(d_hidden)
    return jnp.sum(losses), d_hidden, d_output_DV.T


def _softmax_loss(
    part: Chunk, output_VD: Array, spread: Spread
) -> tuple[Array, Array, Array]:
    hidden_CD, labels_C = part
    logits = product(hidden_CD, output_VD.T)
    top = spread.max_of_parts(jnp.max(logits, axis=-1, keepdims=True))
    exponentials = jnp.exp(logits - top)
    total = spread.sum_of_parts(jnp.sum(exponentials, axis=-1, keepdims=True))
    labels_C = labels_C - spread.part_index() * output_VD.shape[0]
    is_label = lax.broadcasted_iota(jnp.int32, logits.shape, 1) == labels_C[:, None]
    of_label = jnp.sum(jnp.where(is_label, logits, np.float32(0)), axis=-1)
    loss = (top + jnp.log(total))[:, 0] - spread.sum_of_parts(of_label)
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
