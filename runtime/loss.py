"""Next-token loss in chunks of tokens, so that all logits never exist at once.

The gradient is known once the logits of a chunk are, so it is made in the same pass
and nothing is computed twice. With tensor parallelism each device has the logits of its
part of the vocabulary, and no device ever has them all.
"""

# T tokens, C tokens in a chunk, D model width, V vocabulary, or its part on a device

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.products import product, transposed
from runtime.spread import Spread

MIN_CHUNK_TOKENS = 512
"""Tokens in a chunk, at least: each chunk passes over the whole output matrix."""

Chunk = tuple[Array, Array]


class _Softmax(NamedTuple):
    """What the logits of a chunk come to."""

    loss_C: Array
    softmax_CV: Array
    is_label_CV: Array
    logits_CV: Array
    top_C1: Array
    """The largest logit."""
    of_label_C: Array
    """The label's logit."""


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
        return carry, (_softmax_loss(part, output_VD, spread).loss_C,)

    unused = jnp.zeros((), jnp.float32)
    _, (losses,) = _over_chunks(losses_of, unused, (hidden_TD, labels_T), chunk)
    return losses


def ranked_losses(
    hidden_TD: Array, output_VD: Array, labels_T: Array, chunk: int, spread: Spread
) -> tuple[Array, Array]:
    """Cross-entropy of each token, and whether no other would have cost less.

    Of equal ones the first of the vocabulary is taken to be the likeliest. Arguments as
    in `loss_and_gradients`.
    """

    def step(carry: Array, part: Chunk) -> tuple[Array, tuple[Array, Array]]:
        found = _softmax_loss(part, output_VD, spread)
        index = lax.broadcasted_iota(jnp.int32, found.logits_CV.shape, 1)
        label = part[1] - spread.part_index() * output_VD.shape[0]
        is_before = (found.logits_CV == found.top_C1) & (index < label[:, None])
        num_before = spread.sum_of_parts(jnp.sum(is_before, axis=-1, dtype=jnp.int32))
        is_top = found.of_label_C == found.top_C1[:, 0]
        return carry, (found.loss_C, is_top & (num_before == 0))

    unused = jnp.zeros((), jnp.float32)
    _, ranked = _over_chunks(step, unused, (hidden_TD, labels_T), chunk)
    return ranked


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
        found = _softmax_loss(part, output_VD, spread)
        d_logits = found.softmax_CV - found.is_label_CV.astype(jnp.float32)
        d_logits = d_logits * scale
        d_logits = d_logits.astype(hidden_TD.dtype)
        d_hidden_CD = product(d_logits, output_VD).astype(hidden_TD.dtype)
        d_output_DV = d_output_DV + product(transposed(part[0]), d_logits)
        return d_output_DV, (found.loss_C, d_hidden_CD)

    # The other way round than the matrix: what is transposed for it is the narrow side.
    zeros_DV = jnp.zeros(output_VD.shape[::-1], jnp.float32)
    d_output_DV, (losses, d_hidden) = _over_chunks(
        step, zeros_DV, (hidden_TD, labels_T), chunk
    )
    d_hidden = spread.sum_of_parts(d_hidden)
    return jnp.sum(losses), d_hidden, d_output_DV.T


def _softmax_loss(part: Chunk, output_VD: Array, spread: Spread) -> _Softmax:
    hidden_CD, labels_C = part
    logits = product(hidden_CD, output_VD.T)
    top = spread.max_of_parts(jnp.max(logits, axis=-1, keepdims=True))
    exponentials = jnp.exp(logits - top)
    total = spread.sum_of_parts(jnp.sum(exponentials, axis=-1, keepdims=True))
    labels_C = labels_C - spread.part_index() * output_VD.shape[0]
    is_label = lax.broadcasted_iota(jnp.int32, logits.shape, 1) == labels_C[:, None]
    of_label = jnp.sum(jnp.where(is_label, logits, np.float32(0)), axis=-1)
    of_label = spread.sum_of_parts(of_label)
    loss = (top + jnp.log(total))[:, 0] - of_label
    return _Softmax(loss, exponentials / total, is_label, logits, top, of_label)


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
