"""A plain JAX training step, as one would write it who knows the field.

Layers scanned, attention by einsum with a mask, log-sum-exp in the loss, optax. The
state is donated. On several devices the batch is spread; the compiler does the rest.
"""

# B sequences, L sequence length, D width, H heads, K head width, V vocabulary

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.step_sizes import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Size,
    Step,
    random_tokens,
)

if TYPE_CHECKING:
    from jax import Array


def build_jax(size: Size, *, num_devices: int) -> tuple[Step, int]:
    """Build the step on so many host devices."""
    count = f"--xla_force_host_platform_device_count={num_devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {count}"

    import jax
    import optax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("batch",))
    same = NamedSharding(mesh, PartitionSpec())
    params = jax.device_put(_initial(size), same)
    optimizer = optax.chain(
        optax.clip_by_global_norm(CLIP_NORM),
        optax.adamw(LEARNING_RATE, *BETAS, weight_decay=WEIGHT_DECAY),
    )
    moments = jax.jit(optimizer.init, out_shardings=same)(params)

    def update(params: Any, moments: Any, tokens: Array) -> Any:
        loss, grads = jax.value_and_grad(_loss)(params, tokens, size.heads)
        changes, moments = optimizer.update(grads, moments, params)
        return optax.apply_updates(params, changes), moments, loss

    compiled = jax.jit(update, donate_argnums=(0, 1), out_shardings=same)
    spread = NamedSharding(mesh, PartitionSpec("batch"))
    tokens = jax.device_put(random_tokens(size), spread)

    def step() -> float:
        nonlocal params, moments
        params, moments, loss = compiled(params, moments, tokens)
        jax.block_until_ready(params)
        return float(loss)

    return step, sum(x.size for x in jax.tree.leaves(params))


def _initial(size: Size) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    layers, width, ffn_width = size.layers, size.width, size.ffn_width

    def matrix(*shape: int) -> np.ndarray:
        scale = (2 / (shape[-2] + shape[-1])) ** 0.5
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    blocks = {
        "norm": np.ones((layers, width), np.float32),
        "qkv": matrix(layers, width, 3 * width),
        "o": matrix(layers, width, width),
        "gate_up": matrix(layers, width, 2 * ffn_width),
        "down": matrix(layers, ffn_width, width),
    }
    final_norm = np.ones(width, np.float32)
    embed = matrix(size.vocab_size, width)
    return {"embed": embed, "blocks": blocks, "final_norm": final_norm}


def _loss(params: Any, tokens: Array, heads: int) -> Array:
    import jax
    import jax.numpy as jnp

    inputs_BL, labels_BL = tokens[:, :-1], tokens[:, 1:]
    x_BLD = params["embed"][inputs_BL]

    def block(x_BLD: Array, layer: Any) -> tuple[Array, None]:
        return x_BLD + _block(layer, x_BLD, heads), None

    x_BLD, _ = jax.lax.scan(block, x_BLD, params["blocks"])
    x_BLD = _norm(x_BLD, params["final_norm"])
    logits_BLV = x_BLD @ params["embed"].T
    right_BL = jnp.take_along_axis(logits_BLV, labels_BL[..., None], -1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(logits_BLV, axis=-1) - right_BL)


def _block(layer: Any, x_BLD: Array, heads: int) -> Array:
    """Return attention and feed-forward side by side, after one norm."""
    import jax
    import jax.numpy as jnp

    num_sequences, length, width = x_BLD.shape
    y_BLD = _norm(x_BLD, layer["norm"])
    qkv = (y_BLD @ layer["qkv"]).reshape(num_sequences, length, 3, heads, -1)
    q_BHLK, k_BHLK, v_BHLK = qkv.transpose(2, 0, 3, 1, 4)
    scores = jnp.einsum("bhqk,bhsk->bhqs", _rotated(q_BHLK), _rotated(k_BHLK))
    scores = scores / np.float32((width // heads) ** 0.5)
    is_visible = np.tril(np.ones((length, length), bool))
    shares = jax.nn.softmax(jnp.where(is_visible, scores, -jnp.inf))
    mixed = jnp.einsum("bhqs,bhsk->bhqk", shares, v_BHLK)
    attention = mixed.transpose(0, 2, 1, 3).reshape(x_BLD.shape) @ layer["o"]
    gate, up = jnp.split(y_BLD @ layer["gate_up"], 2, axis=-1)
    return attention + (jax.nn.silu(gate) * up) @ layer["down"]


def _norm(x: Array, scale: Array) -> Array:
    import jax
    import jax.numpy as jnp

    centred = x - jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(centred * centred, -1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + np.float32(1e-5)) * scale


def _rotated(x_BHLK: Array) -> Array:
    import jax.numpy as jnp

    length, half = x_BHLK.shape[-2], x_BHLK.shape[-1] // 2
    angles = np.outer(np.arange(length), 10_000.0 ** -(np.arange(half) / half))
    sine, cosine = np.sin(angles, dtype=np.float32), np.cos(angles, dtype=np.float32)
    one, other = jnp.split(x_BHLK, 2, axis=-1)
    return jnp.concatenate(
        [one * cosine - other * sine, other * cosine + one * sine], axis=-1
    )
