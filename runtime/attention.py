"""Causal attention behind one function, by the kernel that suits the device.

    softmax(q k^T / sqrt(K)) v,   over keys that are not later than the query
                                  and, where asked, belong to the same document

| kernel | for |
|---|---|
| `splash` | TPU; lengths that are multiples of 128 |
| `cudnn` | NVIDIA GPU; bfloat16, heads of a width up to 128, no documents |
| `xla` | CPU, and whatever the others cannot do |

Each is in a file of its own, `runtime.attention_<kernel>`.

Which one is a function of the platform and the plan alone, so that every device of a
run has the same. Each sequence of a lane is on its own: no kernel computes anything
across sequences or devices, so that none of them sees how many there are.
"""

# B sequences, H heads, G key-value heads, L sequence length, K head width

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from runtime.attention_cudnn import can_cudnn, cudnn_attention
from runtime.attention_results import INPUTS
from runtime.attention_splash import can_splash, splash_attention
from runtime.attention_xla import blocked_attention
from specs.plan import PlannedModel

NO_TOKEN = -1
"""The end of documents, for models whose attention does not end there."""

Kernel = Literal["xla", "splash", "cudnn"]


@dataclass(frozen=True)
class Attention:
    """How the lanes of a run attend; static in a compiled program."""

    kernel: Kernel = "xla"
    eos_id: int | None = None
    """Last token of each document; None: attention does not end at documents."""

    def documents(self, tokens_BL: Array) -> Array | None:
        """Return the document of each token, where it matters."""
        if self.eos_id is None:
            return None
        return document_ids(tokens_BL, self.eos_id)


CAUSAL = Attention()
"""All earlier tokens, by the kernel that runs everywhere."""


def build_attention(
    model: PlannedModel, *, platform: str, length: int, eos_id: int
) -> Attention:
    """Choose how a model attends.

    Args:
        model: Its mask says whether documents matter.
        platform: Of the devices that the program is compiled for: `cpu`, `gpu`, `tpu`.
        length: Tokens of a sequence that the model sees at once.
        eos_id: Last token of each document; `NO_TOKEN` where documents don't matter.
    """
    is_by_document = model.attention_mask == "document"
    assert eos_id != NO_TOKEN or not is_by_document, "the end of documents is unknown"
    kernel = kernel_for(model, platform=platform, length=length)
    return Attention(kernel, eos_id if is_by_document else None)


def kernel_for(model: PlannedModel, *, platform: str, length: int) -> Kernel:
    """Name the kernel that a model uses; arguments as in `build_attention`."""
    if platform == "tpu" and can_splash(length):
        return "splash"
    if platform == "gpu" and can_cudnn(
        head_width=model.width // model.heads,
        compute=model.compute,
        has_documents=model.attention_mask == "document",
    ):
        return "cudnn"
    return "xla"


def document_ids(tokens_BL: Array, eos_id: int) -> Array:
    """Number the documents of each sequence from 0; int32 (B, L), exact.

    A document ends with its end-of-sequence token, which belongs to it.
    """
    is_end_BL = (tokens_BL == eos_id).astype(jnp.int32)
    return jnp.cumsum(is_end_BL, axis=1, dtype=jnp.int32) - is_end_BL


def attend(
    q_BHLK: Array,
    k_BGLK: Array,
    v_BGLK: Array,
    *,
    kernel: Kernel,
    documents_BL: Array | None = None,
) -> Array:
    """Average values with softmax weights of queries times keys, keys not later.

    Args:
        q_BHLK: Queries. Consecutive heads share a key-value head.
        k_BGLK: Keys.
        v_BGLK: Values.
        kernel: From `kernel_for`.
        documents_BL: From `document_ids`; None: documents do not matter.

    Returns:
        (B, H, L, K), of the type of the values.
    """
    q_BHLK, k_BGLK, v_BGLK = (
        checkpoint_name(x, INPUTS) for x in (q_BHLK, k_BGLK, v_BGLK)
    )
    if kernel == "splash":
        return splash_attention(q_BHLK, k_BGLK, v_BGLK, documents_BL)
    if kernel == "cudnn":
        assert documents_BL is None
        return cudnn_attention(q_BHLK, k_BGLK, v_BGLK)
    shared = q_BHLK.shape[1] // k_BGLK.shape[1]
    k_BHLK, v_BHLK = (jnp.repeat(x, shared, axis=1) for x in (k_BGLK, v_BGLK))
    out: Array = blocked_attention(q_BHLK, k_BHLK, v_BHLK, documents_BL)
    return out
