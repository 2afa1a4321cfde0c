"""AdamW as an Optax transformation, and the clipping of gradients.

    m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
    w = w - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay w)

with `decay` on matrices alone. The learning rate is an argument of every step: the
schedule is exact arithmetic on the host, see `specs.schedule`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from runtime.tensors import NORMS, Shapes
from specs.plan import PlannedOptimizer

Tensors = dict[str, Array]


def build_optimizer(
    optimizer: PlannedOptimizer, shapes: Shapes
) -> optax.GradientTransformation:
    """Make the transformation from gradients to steps, before the learning rate."""
    return optax.chain(
        optax.scale_by_adam(
            b1=float(optimizer.beta1),
            b2=float(optimizer.beta2),
            eps=float(optimizer.epsilon),
        ),
        optax.add_decayed_weights(
            float(optimizer.weight_decay),
            mask={name: name not in NORMS for name in shapes},
        ),
    )


def adamw_steps(
    optimizer: optax.GradientTransformation,
    grads: Tensors,
    moments: tuple[Array, Tensors, Tensors],
    weights: Tensors,
) -> tuple[Tensors, Tensors, Tensors]:
    """Return the steps before the learning rate, and the new moments.

    Args:
        optimizer: From `build_optimizer`.
        grads: After clipping.
        moments: Steps that they have seen, first moments, second moments.
        weights: Before the update, for the decay.
    """
    count, mu, nu = moments
    state = (
        optax.ScaleByAdamState(count=count, mu=mu, nu=nu),
        optax.MaskedState(inner_state=optax.EmptyState()),
    )
    # Optax raises a Python float to the power of an int32 count.
    with jax.numpy_dtype_promotion("standard"):
        steps, (adam, _) = optimizer.update(grads, state, weights)
    return steps, adam.mu, adam.nu


def clip_factor(optimizer: PlannedOptimizer, grad_norm: Array) -> Array:
    """Return what gradients are multiplied by so that their norm is at most the limit.

    Exactly one where the norm is within the limit.
    """
    if optimizer.clip_norm is None:
        return jnp.ones((), jnp.float32)
    limit = np.float32(optimizer.clip_norm)
    factor: Array = jnp.where(grad_norm > limit, limit / grad_norm, jnp.float32(1))
    return factor


def apply_steps(weights: Tensors, steps: Tensors, learning_rate: Array) -> Tensors:
    """Take a step of the given rate down each direction."""
    return {name: weights[name] - learning_rate * steps[name] for name in weights}
