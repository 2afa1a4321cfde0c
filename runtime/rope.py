"""The rotary position embedding (Su et al., 2021)."""

# B sequences, H heads, L sequence length, K head width

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def rope_tables(length: int, head_width: int, theta: float) -> tuple[Array, Array]:
    """Return cosines and sines of the rotary embedding, (L, K / 2), float32.

    Computed in float64 on the host: the same bits on every kind of device.
    """
    frequency_K = theta ** (-np.arange(0, head_width, 2) / head_width)
    angle_LK = np.arange(length)[:, None] * frequency_K[None, :]
    return jnp.asarray(np.cos(angle_LK), jnp.float32), jnp.asarray(
        np.sin(angle_LK), jnp.float32
    )


def rotate(x_BHLK: Array, tables: tuple[Array, Array]) -> Array:
    """Apply the rotary position embedding, first half with second.

    Args:
        x_BHLK: Queries or keys.
        tables: From `rope_tables`.
    """
    cos, sin = (jnp.broadcast_to(t, (*x_BHLK.shape[:2], *t.shape)) for t in tables)
    first, second = jnp.split(x_BHLK.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate(
        [first * cos - second * sin, second * cos + first * sin], axis=-1
    )
    return turned.astype(x_BHLK.dtype)
