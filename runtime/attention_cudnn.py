"""Attention on NVIDIA GPUs by the flash attention of cuDNN, through `jax.nn`.

Its backward pass adds up in any order unless it is asked not to; jax asks, where
`--xla_gpu_deterministic_ops=true` is set, as `runtime.devices` does in the modes that
promise bits. A mask between documents would have to be a matrix of biases, and its
derivative a matrix too, which the deterministic pass lacks on some GPUs: such runs use
the kernel `xla`.
"""

# B sequences, H heads, G key-value heads, L sequence length, K head width

from __future__ import annotations

import jax
from jax import Array

MAX_HEAD_WIDTH = 128
"""Wider heads have a backward pass on Hopper and later alone."""

_WIDTH_STEP = 8


def can_cudnn(*, head_width: int, compute: str, has_documents: bool) -> bool:
    """Tell whether the kernel can do what a model asks."""
    is_width_known = head_width % _WIDTH_STEP == 0 and head_width <= MAX_HEAD_WIDTH
    return compute == "bfloat16" and is_width_known and not has_documents


def cudnn_attention(q_BHLK: Array, k_BGLK: Array, v_BGLK: Array) -> Array:
    """Do what `runtime.attention.attend` says, without documents."""
    q_BLHK, k_BLGK, v_BLGK = (x.swapaxes(1, 2) for x in (q_BHLK, k_BGLK, v_BGLK))
    out_BLHK: Array = jax.nn.dot_product_attention(
        q_BLHK, k_BLGK, v_BLGK, is_causal=True, implementation="cudnn"
    )
    return out_BLHK.swapaxes(1, 2)
