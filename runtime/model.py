"""The decoder-only Transformer, as Flax modules.

`Transformer` computes on *fused* weights: matrices that read the same input lie side by
side, so that one large product replaces several small ones. `fuse` makes them from the
named tensors of `runtime.tensors`, once per step, and `unfuse` takes gradients apart
again. Layers are stacked and scanned: compiling takes the same time at any depth.

Parallel block (GPT-J, PaLM, Cohere):  x + attn(norm(x)) + ffn(norm(x))
Sequential block (Llama):              h = x + attn(norm(x));  h + ffn(norm'(h))
"""

# B sequences, L sequence length, D model width, H heads, G key-value heads,
# K head width, F feed-forward width, V vocabulary

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from runtime.attention import CAUSAL, Attention, attend
from runtime.layers import linear, normalise, swiglu
from runtime.loss import chunk_tokens, mean_loss, token_losses
from runtime.rope import rope_tables, rotate
from runtime.tensors import tensor_shapes
from specs.plan import PlannedModel

Fused = dict[str, Any]
"""Parameters of `Transformer` as Flax nests them."""

_Parts = tuple[tuple[str, ...], int]

_PARALLEL: dict[str, _Parts] = {
    "in": (
        (
            "block.attn.q",
            "block.attn.k",
            "block.attn.v",
            "block.ffn.gate",
            "block.ffn.up",
        ),
        2,
    ),
    "out": (("block.attn.o", "block.ffn.down"), 1),
    "norm": (("block.norm",), 1),
}
_SEQUENTIAL: dict[str, _Parts] = {
    "attn_norm": (("block.attn.norm",), 1),
    "attn_in": (("block.attn.q", "block.attn.k", "block.attn.v"), 2),
    "attn_out": (("block.attn.o",), 1),
    "ffn_norm": (("block.ffn.norm",), 1),
    "ffn_in": (("block.ffn.gate", "block.ffn.up"), 2),
    "ffn_out": (("block.ffn.down",), 1),
}


def fuse(model: PlannedModel, tensors: Mapping[str, Array]) -> Fused:
    """Lay tensors that share an input side by side."""
    blocks = {
        name: jnp.concatenate([tensors[part] for part in parts], axis)
        if len(parts) > 1
        else tensors[parts[0]]
        for name, (parts, axis) in _fused_parts(model).items()
    }
    top = {name: tensors[name] for name in _unfused_names(model)}
    return {"params": {"blocks": blocks, **top}}


def unfuse(model: PlannedModel, fused: Fused) -> dict[str, Array]:
    """Take apart what `fuse` put together."""
    shapes = tensor_shapes(model)
    params = fused["params"]
    tensors = {name: params[name] for name in _unfused_names(model)}
    for name, (parts, axis) in _fused_parts(model).items():
        stops = np.cumsum([shapes[part][axis] for part in parts])[:-1]
        pieces = jnp.split(params["blocks"][name], stops.tolist(), axis)
        tensors |= dict(zip(parts, pieces, strict=True))
    return {name: tensors[name] for name in shapes}


def lane_loss(
    model: PlannedModel,
    fused: Fused,
    tokens_BL: Array,
    attention: Attention = CAUSAL,
) -> Array:
    """Mean next-token loss of one lane in nats; `tokens_BL` is one token longer."""
    hidden_TD, output_VD, labels_T = _apply(model, fused, tokens_BL, attention)
    chunk = chunk_tokens(labels_T.size, model.vocab_size)
    return mean_loss(hidden_TD, output_VD, labels_T, chunk)


def lane_token_losses(
    model: PlannedModel,
    fused: Fused,
    tokens_BL: Array,
    attention: Attention = CAUSAL,
) -> Array:
    """Next-token loss of each token but the first of each sequence, in nats."""
    hidden_TD, output_VD, labels_T = _apply(model, fused, tokens_BL, attention)
    chunk = chunk_tokens(labels_T.size, model.vocab_size)
    losses = token_losses(hidden_TD, output_VD, labels_T, chunk)
    return losses.reshape(tokens_BL.shape[0], -1)


def logits(
    model: PlannedModel,
    fused: Fused,
    tokens_BL: Array,
    attention: Attention = CAUSAL,
) -> Array:
    """Float32 logits of the token after each one, (B, L, V). For short inputs."""
    hidden_BLD, output_VD = _hidden_and_output(model, fused, tokens_BL, attention)
    return jnp.matmul(
        hidden_BLD,
        output_VD.astype(hidden_BLD.dtype).T,
        preferred_element_type=jnp.float32,
    )


class Transformer(nn.Module):
    """Embedding, blocks and final norm; returns what the loss needs."""

    config: PlannedModel
    attention: Attention

    @nn.compact
    def __call__(self, tokens_BL: Array) -> tuple[Array, Array]:
        """Return the last hidden states (B, L, D) and the output matrix (V, D)."""
        config = self.config
        embed_VD = self.param("embed", nn.zeros, (config.vocab_size, config.width))
        x_BLD = embed_VD[tokens_BL].astype(config.compute)
        block = _ParallelBlock if config.block == "parallel" else _SequentialBlock
        blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=config.layers,
        )
        documents_BL = self.attention.documents(tokens_BL)
        x_BLD, _ = blocks(config, self.attention, name="blocks")(x_BLD, documents_BL)
        scale_D = self.param("final_norm", nn.ones, (config.width,))
        x_BLD = _normalise(config, x_BLD, scale_D)
        if config.tied_embeddings:
            return x_BLD, embed_VD
        return x_BLD, self.param("output", nn.zeros, embed_VD.shape)


class _ParallelBlock(nn.Module):
    config: PlannedModel
    attention: Attention

    @nn.compact
    def __call__(self, x_BLD: Array, documents_BL: Array | None) -> tuple[Array, None]:
        config = self.config
        width, ffn_width = config.width, config.ffn_width
        qkv_width = width + 2 * _kv_width(config)
        norm_D = self.param("norm", nn.ones, (width,))
        w_in = self.param("in", nn.zeros, (width, qkv_width + 2 * ffn_width))
        w_out = self.param("out", nn.zeros, (width + ffn_width, width))
        z = _normalised_linear(config, x_BLD, norm_D, w_in)
        qkv, gate, up = jnp.split(z, [qkv_width, qkv_width + ffn_width], axis=-1)
        attended = _attend(config, self.attention, qkv, documents_BL)
        return x_BLD + _both_linear(attended, gate, up, w_out), None


class _SequentialBlock(nn.Module):
    config: PlannedModel
    attention: Attention

    @nn.compact
    def __call__(self, x_BLD: Array, documents_BL: Array | None) -> tuple[Array, None]:
        config = self.config
        width, ffn_width = config.width, config.ffn_width
        qkv_width = width + 2 * _kv_width(config)
        attn_norm_D = self.param("attn_norm", nn.ones, (width,))
        attn_in = self.param("attn_in", nn.zeros, (width, qkv_width))
        attn_out = self.param("attn_out", nn.zeros, (width, width))
        ffn_norm_D = self.param("ffn_norm", nn.ones, (width,))
        ffn_in = self.param("ffn_in", nn.zeros, (width, 2 * ffn_width))
        ffn_out = self.param("ffn_out", nn.zeros, (ffn_width, width))
        qkv = _normalised_linear(config, x_BLD, attn_norm_D, attn_in)
        attended = _attend(config, self.attention, qkv, documents_BL)
        x_BLD = x_BLD + _heads_linear(attended, attn_out)
        gate_up = _normalised_linear(config, x_BLD, ffn_norm_D, ffn_in)
        gate, up = jnp.split(gate_up, 2, axis=-1)
        return x_BLD + _swiglu_linear(gate, up, ffn_out), None


def _normalise(config: PlannedModel, x_BLD: Array, scale_D: Array) -> Array:
    is_centred = config.norm == "layernorm"
    return normalise(x_BLD, scale_D, is_centred, float(config.norm_epsilon))


# What is cheap to compute again is not kept between the passes: of the next four, only
# the arguments are. Inside a scan nothing can be merged with the forward pass.
_recomputed = partial(jax.checkpoint, prevent_cse=False)


@partial(_recomputed, static_argnums=0)
def _normalised_linear(
    config: PlannedModel, x_BLD: Array, scale_D: Array, weights: Array
) -> Array:
    return linear(_normalise(config, x_BLD, scale_D), weights)


@_recomputed
def _heads_linear(out_BHLK: Array, weights: Array) -> Array:
    return linear(_merge_heads(out_BHLK), weights)


@_recomputed
def _swiglu_linear(gate: Array, up: Array, weights: Array) -> Array:
    return linear(swiglu(gate, up), weights)


@_recomputed
def _both_linear(out_BHLK: Array, gate: Array, up: Array, weights: Array) -> Array:
    both = jnp.concatenate([_merge_heads(out_BHLK), swiglu(gate, up)], axis=-1)
    return linear(both, weights)


def _merge_heads(x_BHLK: Array) -> Array:
    batch, heads, length, head_width = x_BHLK.shape
    return x_BHLK.transpose(0, 2, 1, 3).reshape(batch, length, heads * head_width)


def _attend(
    config: PlannedModel,
    attention: Attention,
    qkv: Array,
    documents_BL: Array | None,
) -> Array:
    """Split into heads, rotate and attend; returns (B, H, L, K)."""
    batch, length, _ = qkv.shape
    head_width = config.width // config.heads
    kv_width = _kv_width(config)
    tables = rope_tables(length, head_width, float(config.rope_theta))

    def heads_of(x: Array) -> Array:
        return x.reshape(batch, length, -1, head_width).transpose(0, 2, 1, 3)

    q, k, v = jnp.split(qkv, [config.width, config.width + kv_width], axis=-1)
    return attend(
        rotate(heads_of(q), tables),
        rotate(heads_of(k), tables),
        heads_of(v),
        kernel=attention.kernel,
        documents_BL=documents_BL,
    )


def _kv_width(config: PlannedModel) -> int:
    return config.width // config.heads * config.kv_heads


def _fused_parts(model: PlannedModel) -> dict[str, _Parts]:
    return _PARALLEL if model.block == "parallel" else _SEQUENTIAL


def _unfused_names(model: PlannedModel) -> list[str]:
    return [name for name in tensor_shapes(model) if not name.startswith("block.")]


def _hidden_and_output(
    model: PlannedModel, fused: Fused, tokens_BL: Array, attention: Attention
) -> tuple[Array, Array]:
    both: Any = Transformer(model, attention).apply(fused, tokens_BL)
    hidden_BLD, output_VD = both
    return hidden_BLD, output_VD


def _apply(
    model: PlannedModel, fused: Fused, tokens_BL: Array, attention: Attention
) -> tuple[Array, Array, Array]:
    hidden_BLD, output_VD = _hidden_and_output(
        model, fused, tokens_BL[:, :-1], attention
    )
    labels_T = tokens_BL[:, 1:].reshape(-1)
    return hidden_BLD.reshape(-1, model.width), output_VD, labels_T
