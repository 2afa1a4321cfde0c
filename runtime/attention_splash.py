"""Attention on TPU by the Pallas kernel "splash attention" that comes with jax.

It never writes scores to memory, skips blocks of keys that are later than all queries
of a block, and shares key-value heads between queries without copying them. Its grid is
worked through in a fixed order, so that every sum has one order.

Sizes of blocks are the fastest by the schedules that the compiler makes for v5e, which
were counted, not timed. For a head of 8192 x 128, forward and backward, blocks of 1024
take 747 thousand cycles, though an eighth of their scores lies above the diagonal, and
blocks of 512 take 1043: each step of the grid costs some 550 besides its arithmetic.
Blocks of 2048 do not fit into the vector memory.
"""

# H heads, G key-value heads, L sequence length, K head width

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_kernel as kernels,
)
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_mask as masks,
)

from runtime.attention_results import OUTPUT

TILE = 128
"""Numbers side by side in a vector register: the least that blocks are made of."""

MAX_BLOCK = 1024
MAX_KEYS_AT_ONCE = 512
"""Keys of a block whose scores exist at the same time."""


def can_splash(length: int) -> bool:
    """Tell whether the kernel can attend over sequences of a length."""
    return length % TILE == 0


def splash_attention(
    q_BHLK: Array, k_BGLK: Array, v_BGLK: Array, documents_BL: Array | None
) -> Array:
    """Do what `runtime.attention.attend` says."""
    _, heads, length, head_width = q_BHLK.shape
    # Made while the program is traced, in a millisecond. It may not be kept: its arrays
    # belong to the program.
    kernel = kernels.make_splash_mha(
        masks.MultiHeadMask([masks.CausalMask((length, length))] * heads),
        block_sizes=_block_sizes(length, head_width),
        head_shards=1,
        q_seq_shards=1,
        residual_checkpoint_name=OUTPUT,
    )

    def attend_in_sequence(
        q_HLK: Array, k_GLK: Array, v_GLK: Array, documents_L: Array | None
    ) -> Array:
        segments = (
            None
            if documents_L is None
            else kernels.SegmentIds(documents_L, documents_L)
        )
        out: Array = kernel(q_HLK, k_GLK, v_GLK, segments)
        return out

    # The kernel's scores are not scaled: the queries are, and rounded once more, which
    # changes nothing where the width is a power of four.
    scaled = q_BHLK.astype(jnp.float32) * np.float32(head_width**-0.5)
    return jax.vmap(attend_in_sequence)(
        scaled.astype(q_BHLK.dtype), k_BGLK, v_BGLK, documents_BL
    )


def _block_sizes(length: int, head_width: int) -> kernels.BlockSizes:
    block = math.gcd(length, MAX_BLOCK)
    at_once = min(block, MAX_KEYS_AT_ONCE)
    # In memory the last dimension fills whole tiles: heads that are narrower than one
    # would be padded, so the sequence is laid last.
    is_narrow = head_width % TILE != 0
    layout = kernels.QKVLayout["SEQ_MINOR" if is_narrow else "HEAD_DIM_MINOR"]
    return kernels.BlockSizes(
        block_q=block,
        block_kv=block,
        block_kv_compute=at_once,
        block_q_dkv=block,
        block_kv_dkv=block,
        block_kv_dkv_compute=at_once,
        block_q_dq=block,
        block_kv_dq=block,
        q_layout=layout,
        k_layout=layout,
        v_layout=layout,
    )
