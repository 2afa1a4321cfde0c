"""The next token from logits: the likeliest, or one that is drawn by a named key."""

# B rows, V vocabulary

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_BITS_OF_ONE = 0x3F800000
"""Of float32 1.0; bit patterns of positive numbers have their order."""

_HALVINGS = 30
"""Until one bit pattern is left."""


class Draw(NamedTuple):
    """By what tokens are drawn."""

    keys_B2: Array
    """uint32, of each row."""
    count_B: Array
    """int32, tokens of the answer so far: which token of the row this is."""
    temperature: Array
    """float32, above 0."""
    top_p: Array
    """float32."""


def likeliest(logits_BV: Array) -> Array:
    """Return the token with the largest logit, of equal ones the first.

    Where logits are not numbers it is V, which is no token.
    """
    top = jnp.max(logits_BV, axis=-1, keepdims=True)
    return _first(logits_BV == top)


def drawn(logits_BV: Array, draw: Draw) -> Array:
    """Draw a token from each row's distribution, or from the likeliest part of it.

    Args:
        logits_BV: float32.
        draw: A row's key and the token's number decide all about its chance.

    Returns:
        int32; V, which is no token, where logits are not numbers.
    """
    scaled = logits_BV / draw.temperature
    weights = jnp.exp(scaled - jnp.max(scaled, axis=-1, keepdims=True))
    # What is not a number is kept, and found below.
    is_rare = weights < _threshold(weights, draw.top_p)
    kept = jnp.where(is_rare, np.float32(0), weights)
    # The least of exponentials with these rates is token i with chance kept_i / sum.
    race = kept / _exponentials(draw, logits_BV.shape[1])
    return _first(race == jnp.max(race, axis=-1, keepdims=True))


def _first(is_chosen_BV: Array) -> Array:
    size = is_chosen_BV.shape[1]
    index = lax.broadcasted_iota(jnp.int32, is_chosen_BV.shape, 1)
    return jnp.min(jnp.where(is_chosen_BV, index, np.int32(size)), axis=-1)


def _threshold(weights_BV: Array, top_p: Array) -> Array:
    """Return the largest weight such that it and all above have the share `top_p`.

    Tokens as likely as the last that is needed are all kept. Found by halving the range
    of bit patterns: sorting a vocabulary takes longer.
    """
    wanted = top_p * jnp.sum(weights_BV, axis=-1, keepdims=True)

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high + 1) // 2
        at_least = lax.bitcast_convert_type(middle, jnp.float32)
        above = jnp.where(weights_BV >= at_least, weights_BV, np.float32(0))
        is_enough = jnp.sum(above, axis=-1, keepdims=True) >= wanted
        return jnp.where(is_enough, middle, low), jnp.where(is_enough, high, middle - 1)

    low = jnp.zeros(wanted.shape, jnp.int32)
    high = jnp.full(wanted.shape, _BITS_OF_ONE, jnp.int32)
    low, _ = lax.fori_loop(0, _HALVINGS, halve, (low, high))
    # A sum is rounded: all of a distribution must mean all, not all but the smallest.
    low = jnp.where(top_p < 1, low, 0)
    found: Array = lax.bitcast_convert_type(low, jnp.float32)
    return found


def _exponentials(draw: Draw, size: int) -> Array:
    """Draw (B, V) numbers from the exponential distribution, none of them 0."""

    def of_row(key_2: Array, count: Array) -> Array:
        # The generator is named: jax's default may change with a version or a flag.
        random_key = jax.random.wrap_key_data(key_2, impl="threefry2x32")
        return jax.random.bits(jax.random.fold_in(random_key, count), (size,))

    bits = jax.vmap(of_row)(draw.keys_B2, draw.count_B)
    # 23 bits and a half: exact in float32, and neither 0 nor 1.
    uniform = ((bits >> 9).astype(jnp.float32) + 0.5) * np.float32(2**-23)
    return -jnp.log(uniform)
