"""The layers of the model as pure functions with hand-written backward passes.

Automatic differentiation keeps more between the passes, and computes it in more steps,
than these formulas need. All of them compute in float32 inside, whatever the format of
the activations.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from runtime.products import product, transposed
from runtime.spread import Matrix


@jax.custom_vjp
def linear(x: Array, weights: Matrix) -> Array:
    """Multiply by a matrix in the format of `x`, products summed in float32.

    The gradient of the matrix stays float32. Rows that other devices hold are gathered
    anew in the backward pass; nothing gathered is kept between the passes.
    """
    return product(x, weights.whole(x.dtype)).astype(x.dtype)


def _linear_forward(x: Array, weights: Matrix) -> tuple[Array, tuple[Array, Matrix]]:
    return linear(x, weights), (x, weights)


def _linear_backward(
    residuals: tuple[Array, Matrix], d_y: Array
) -> tuple[Array, Matrix]:
    x, weights = residuals
    d_x = product(d_y, weights.whole(x.dtype).T).astype(x.dtype)
    d_weights = product(
        transposed(x.reshape(-1, x.shape[-1])), d_y.reshape(-1, d_y.shape[-1])
    )
    return d_x, weights.gradient(d_weights)


linear.defvjp(_linear_forward, _linear_backward)


@jax.custom_vjp
def swiglu(gate: Array, up: Array) -> Array:
    """SiLU of the gate times the other half (Shazeer, 2020), computed in float32."""
    return _swiglu_forward(gate, up)[0]


def _swiglu_forward(gate: Array, up: Array) -> tuple[Array, tuple[Array, Array]]:
    wide_gate, wide_up = gate.astype(jnp.float32), up.astype(jnp.float32)
    y = wide_gate * jax.nn.sigmoid(wide_gate) * wide_up
    return y.astype(gate.dtype), (gate, up)


def _swiglu_backward(residuals: tuple[Array, Array], d_y: Array) -> tuple[Array, Array]:
    dtype = d_y.dtype
    gate, up, d_y = (x.astype(jnp.float32) for x in (*residuals, d_y))
    sigmoid = jax.nn.sigmoid(gate)
    d_gate = d_y * up * sigmoid * (1 + gate * (1 - sigmoid))
    return d_gate.astype(dtype), (d_y * gate * sigmoid).astype(dtype)


swiglu.defvjp(_swiglu_forward, _swiglu_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def normalise(x: Array, scale_D: Array, is_centred: bool, epsilon: float) -> Array:
    """Divide each vector by its root mean square, and scale it.

    Args:
        x: Vectors along the last axis.
        scale_D: float32.
        is_centred: Whether the mean is taken off first: LayerNorm without a bias
            instead of RMSNorm.
        epsilon: Added to the mean square.
    """
    return _normalise_forward(x, scale_D, is_centred, epsilon)[0]


def _normalise_forward(
    x: Array, scale_D: Array, is_centred: bool, epsilon: float
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, axis=-1, keepdims=True) if is_centred else _zero(wide)
    centred = wide - mean
    square = jnp.mean(centred * centred, axis=-1, keepdims=True)
    inverse = lax.rsqrt(square + np.float32(epsilon))
    y = centred * inverse * _along_last(scale_D, wide)
    return y.astype(x.dtype), (x, scale_D, mean, inverse)


def _normalise_backward(
    is_centred: bool,
    epsilon: float,
    residuals: tuple[Array, Array, Array, Array],
    d_y: Array,
) -> tuple[Array, Array]:
    x, scale_D, mean, inverse = residuals
    unit = (x.astype(jnp.float32) - mean) * inverse
    d_wide = d_y.astype(jnp.float32)
    d_scale = jnp.sum((d_wide * unit).reshape(-1, scale_D.size), axis=0)
    d_unit = d_wide * _along_last(scale_D, d_wide)
    along = jnp.mean(d_unit * unit, axis=-1, keepdims=True)
    d_x = d_unit - unit * along
    if is_centred:
        d_x = d_x - jnp.mean(d_unit, axis=-1, keepdims=True)
    return (d_x * inverse).astype(x.dtype), d_scale


normalise.defvjp(_normalise_forward, _normalise_backward)


def _zero(x: Array) -> Array:
    return jnp.zeros((*x.shape[:-1], 1), x.dtype)


def _along_last(scale_D: Array, x: Array) -> Array:
    return jnp.broadcast_to(scale_D, x.shape)
