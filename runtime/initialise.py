"""Initial weights, drawn from one named key per tensor and layer.

A key's name says what it is for (`init`, `block_3.attn.q`), never how many were drawn
before it: another layer or another tensor changes no other's values.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from runtime.keys import key
from runtime.tensors import NORMS, tensor_shapes
from specs.plan import PlannedModel

_STACKED = "block."


def initial_tensors(model: PlannedModel, seed: int) -> Iterator[tuple[str, Array]]:
    """Yield each tensor's name and its initial value, on the default device.

    Matrices are Glorot normal, truncated at two standard deviations (Glorot and
    Bengio, 2010); norm scales are one.
    """
    for name, shape in tensor_shapes(model).items():
        if name in NORMS:
            yield name, jnp.ones(shape, jnp.float32)
        elif name.startswith(_STACKED):
            rest = name.removeprefix(_STACKED)
            names = [f"block_{layer}.{rest}" for layer in range(shape[0])]
            layers = [_draw(seed, layer_name, shape[1:]) for layer_name in names]
            yield name, jnp.stack(layers)
        else:
            yield name, _draw(seed, name, shape)


def _draw(seed: int, name: str, shape: tuple[int, ...]) -> Array:
    number = key(seed, "init", name)
    halves = np.array([number >> 32, number & 0xFFFFFFFF], np.uint32)
    tensor: Array = _glorot_normal(halves, shape)
    return tensor


@partial(jax.jit, static_argnums=1)
def _glorot_normal(key_data: Array, shape: tuple[int, ...]) -> Array:
    # The generator is named: jax's default may change with a version or a flag.
    random_key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
    draw = jax.nn.initializers.glorot_normal()
    return jnp.asarray(draw(random_key, shape, jnp.float32))
