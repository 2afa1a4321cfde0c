"""Matrix products with float32 sums, in the forms that backends run fast."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax


def product(left: Array, right: Array) -> Array:
    """Multiply matrices; float32, whatever the format of the operands.

    Float32 operands are used whole: accelerators would round them to fewer bits.
    """
    return jnp.matmul(
        left,
        right,
        precision=lax.Precision.HIGHEST if left.dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )


def transposed(x: Array) -> Array:
    """Swap the last two axes, and keep the compiler from folding that into a product.

    On CPU a product over the left side's first axis takes a path half as fast.
    """
    swapped: Array = lax.optimization_barrier(jnp.swapaxes(x, -1, -2))
    return swapped
