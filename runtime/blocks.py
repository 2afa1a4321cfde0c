"""The blocks of the Transformer, as Flax modules that are stacked and scanned.

Parallel block (GPT-J, PaLM, Cohere):  x + attn(norm(x)) + ffn(norm(x))
Sequential block (Llama):              h = x + attn(norm(x));  h + ffn(norm'(h))

With tensor parallelism a device has some of the heads and some of the columns inside
the feed-forward layer; what goes in is shared, what comes out is summed over devices.
"""

# B sequences, L sequence length, D model width, H heads, G key-value heads,
# K head width, F feed-forward width

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from runtime.attention import CAUSAL, Attention, attend
from runtime.attention_results import keeps_attention
from runtime.fused import fused_parts
from runtime.layers import linear, normalise, swiglu
from runtime.rope import rope_tables, rotate
from runtime.spread import (
    ALONE,
    Matrix,
    Spread,
    joined_output,
    matrix_of_rows,
    shared_input,
    vector,
    whole_matrix,
)
from runtime.tensors import layer_shape, part_shapes
from specs.activations import Remat
from specs.plan import PlannedModel

LOGITS_ON_CPU = 1 << 22
"""Logits that exist at once: 16 MiB of float32, about a processor's cache."""

LOGITS_ON_ACCELERATORS = 1 << 28
"""1 GiB: each pass over the output matrix serves more tokens."""


def logits_at_once(platform: str) -> int:
    """Return how many logits exist at once on devices of a platform."""
    return LOGITS_ON_CPU if platform == "cpu" else LOGITS_ON_ACCELERATORS


@dataclass(frozen=True)
class LaneProgram:
    """All that decides the program of a lane but the weights; static."""

    model: PlannedModel
    attention: Attention = CAUSAL
    spread: Spread = ALONE
    remat: Remat = "none"
    logits_at_once: int = LOGITS_ON_CPU

    def matrix(self, params: Mapping[str, Any], name: str) -> Matrix:
        """Return a matrix of a layer, or outside the layers, from its parameters.

        Args:
            params: Of one layer, or of what is outside the layers.
            name: Fused name, or a tensor's that lies alone.
        """
        if not self.spread.is_by_layer:
            return whole_matrix(params[name])
        shapes = part_shapes(self.model, self.spread.num_parts)
        parts, axis = fused_parts(self.model).get(name, ((name,), 0))
        return matrix_of_rows(
            [params[part] for part in parts],
            [layer_shape(part, shapes[part]) for part in parts],
            axis,
            self.spread,
        )


class Blocks(nn.Module):
    """All blocks and the final norm."""

    program: LaneProgram

    @nn.compact
    def __call__(self, x_BLD: Array, documents_BL: Array | None) -> Array:
        """Return the last hidden states (B, L, D)."""
        program = self.program
        model = program.model
        block: Any = _Block
        if program.remat != "none":
            policy = keeps_attention if program.remat == "attention" else None
            # Inside a scan nothing can be merged with the forward pass.
            block = nn.remat(block, prevent_cse=False, policy=policy)
        blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=model.layers,
        )
        x_BLD, _ = blocks(program, name="blocks")(x_BLD, documents_BL)
        scale: dict[str, Any] = {
            "final_norm": self.get_variable("params", "final_norm")
        }
        return final_norm(program, scale, x_BLD)


class _Block(nn.Module):
    program: LaneProgram

    @nn.compact
    def __call__(self, x_BLD: Array, documents_BL: Array | None) -> tuple[Array, None]:
        program, params = self.program, self.variables["params"]

        def attend_rows(qkv: Array) -> Array:
            return _attend(program, qkv, documents_BL)

        return apply_block(program, params, x_BLD, attend_rows), None


def apply_block(
    program: LaneProgram,
    params: Mapping[str, Any],
    x_BLD: Array,
    attend_rows: Callable[[Array], Array],
) -> Array:
    """Pass hidden states through one block.

    Args:
        program: What is computed, and how.
        params: Of this layer.
        x_BLD: What goes in.
        attend_rows: Maps queries, keys and values, side by side as `split_heads` takes
            them, to what was attended (B, H, L, K).
    """
    apply = _parallel if program.model.block == "parallel" else _sequential
    return apply(program, partial(program.matrix, params), x_BLD, attend_rows)


def final_norm(program: LaneProgram, params: Mapping[str, Any], x_BLD: Array) -> Array:
    """Normalise what the last block gives; `params` are those outside the layers."""
    return _normalise(program.model, x_BLD, program.matrix(params, "final_norm"))


def _parallel(
    program: LaneProgram,
    matrix: Callable[[str], Matrix],
    x_BLD: Array,
    attend_rows: Callable[[Array], Array],
) -> Array:
    z = _normalised_linear(program, x_BLD, matrix("norm"), matrix("in"))
    qkv_width = _qkv_width(program)
    ffn_width = program.model.ffn_width // program.spread.num_parts
    qkv, gate, up = jnp.split(z, [qkv_width, qkv_width + ffn_width], axis=-1)
    y = _both_linear(attend_rows(qkv), gate, up, matrix("out"))
    return x_BLD + joined_output(y, program.spread)


def _sequential(
    program: LaneProgram,
    matrix: Callable[[str], Matrix],
    x_BLD: Array,
    attend_rows: Callable[[Array], Array],
) -> Array:
    qkv = _normalised_linear(program, x_BLD, matrix("attn_norm"), matrix("attn_in"))
    y = _heads_linear(attend_rows(qkv), matrix("attn_out"))
    x_BLD = x_BLD + joined_output(y, program.spread)
    gate_up = _normalised_linear(program, x_BLD, matrix("ffn_norm"), matrix("ffn_in"))
    gate, up = jnp.split(gate_up, 2, axis=-1)
    y = _swiglu_linear(gate, up, matrix("ffn_out"))
    return x_BLD + joined_output(y, program.spread)


def _normalise(model: PlannedModel, x_BLD: Array, scale: Matrix) -> Array:
    is_centred = model.norm == "layernorm"
    return normalise(x_BLD, vector(scale), is_centred, float(model.norm_epsilon))


# What is cheap to compute again is not kept between the passes: of the next four, only
# the arguments are.
_recomputed = partial(jax.checkpoint, prevent_cse=False)


@partial(_recomputed, static_argnums=0)
def _normalised_linear(
    program: LaneProgram, x_BLD: Array, scale: Matrix, weights: Matrix
) -> Array:
    y_BLD = _normalise(program.model, x_BLD, scale)
    return linear(shared_input(y_BLD, program.spread), weights)


@_recomputed
def _heads_linear(out_BHLK: Array, weights: Matrix) -> Array:
    return linear(_merge_heads(out_BHLK), weights)


@_recomputed
def _swiglu_linear(gate: Array, up: Array, weights: Matrix) -> Array:
    return linear(swiglu(gate, up), weights)


@_recomputed
def _both_linear(out_BHLK: Array, gate: Array, up: Array, weights: Matrix) -> Array:
    both = jnp.concatenate([_merge_heads(out_BHLK), swiglu(gate, up)], axis=-1)
    return linear(both, weights)


def _merge_heads(x_BHLK: Array) -> Array:
    batch, heads, length, head_width = x_BHLK.shape
    return x_BHLK.transpose(0, 2, 1, 3).reshape(batch, length, heads * head_width)


def _attend(program: LaneProgram, qkv: Array, documents_BL: Array | None) -> Array:
    """Split into heads, rotate and attend; returns (B, H, L, K)."""
    model = program.model
    tables = rope_tables(
        qkv.shape[1], model.width // model.heads, float(model.rope_theta)
    )
    q, k, v = split_heads(program, qkv)
    return attend(
        rotate(q, tables),
        rotate(k, tables),
        v,
        kernel=program.attention.kernel,
        documents_BL=documents_BL,
    )


def split_heads(program: LaneProgram, qkv: Array) -> tuple[Array, Array, Array]:
    """Take apart what lies side by side: (B, H, L, K), and twice (B, G, L, K)."""
    batch, length, _ = qkv.shape
    head_width = program.model.width // program.model.heads

    def heads_of(x: Array) -> Array:
        return x.reshape(batch, length, -1, head_width).transpose(0, 2, 1, 3)

    width = program.model.width // program.spread.num_parts
    kv_width = (qkv.shape[2] - width) // 2
    q, k, v = jnp.split(qkv, [width, width + kv_width], axis=-1)
    return heads_of(q), heads_of(k), heads_of(v)


def _qkv_width(program: LaneProgram) -> int:
    """Columns of queries, keys and values on this device."""
    model = program.model
    head_width = model.width // model.heads
    return (model.width + 2 * model.kv_heads * head_width) // program.spread.num_parts
