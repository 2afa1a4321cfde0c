"""What attention leaves for its backward pass, by name, for rematerialisation.

The backward pass of every kernel needs the queries, keys and values, the output and the
log-sum-exp of the scores. The last two cost the whole forward pass to compute again
and little to keep; the first three cost one matrix product.
"""

from __future__ import annotations

from typing import Any

INPUTS = "attn_qkv"
"""Queries, keys and values, rotated."""

OUTPUT = "attn_out"

LOG_SUMS = "attn_lse"

_CUDNN_FORWARD = "dot_product_attention_fwd"


def keeps_attention(primitive: Any, *_: Any, **params: Any) -> bool:
    """Keep the output and the log-sum-exp of attention, and nothing else.

    A policy for `jax.checkpoint`. The residuals of cuDNN's kernel have no names, so
    that its forward operation is known by its own.
    """
    if primitive.name == "name":
        return params["name"] in {OUTPUT, LOG_SUMS}
    return bool(primitive.name.startswith(_CUDNN_FORWARD))
