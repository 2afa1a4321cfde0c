"""The decoder-only Transformer: what one lane computes.

`lane_gradients` is the training step's forward and backward pass, in explicit parts:
embedding, blocks, loss, and back. The table of embeddings is gathered once for both of
its uses, and both add to one gradient.
"""

# B sequences, L sequence length, D model width, V vocabulary, T tokens of all sequences

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from runtime.blocks import Blocks, LaneProgram
from runtime.fused import Parameters
from runtime.loss import (
    chunk_tokens,
    loss_and_gradients,
    ranked_losses,
    token_losses,
)
from runtime.products import product
from runtime.spread import Matrix


def lane_gradients(
    program: LaneProgram, params: Parameters, tokens_BL: Array
) -> tuple[Array, Parameters]:
    """Return the sum of next-token losses of one lane, and gradients of their mean.

    Args:
        program: What is computed, and how.
        params: From `runtime.fused`, as the program's spread wants them.
        tokens_BL: int32, one token longer than the sequences.

    Returns:
        The sum in nats, and float32 gradients in the form of `params`.
    """
    model, spread = program.model, program.spread
    inputs_BL, labels_T = tokens_BL[:, :-1], tokens_BL[:, 1:].reshape(-1)
    embed, output = tables(program, params)
    table_VD = embed.whole(model.compute)
    output_VD = table_VD if model.tied_embeddings else output.whole(model.compute)

    def hidden_states(trunk: Parameters, x_BLD: Array) -> Array:
        return _hidden(program, trunk, x_BLD, inputs_BL)

    x_BLD = embedded(program, table_VD, inputs_BL)
    hidden_BLD, pull_back = jax.vjp(hidden_states, _trunk(params), x_BLD)
    loss, d_hidden_TD, d_output_VD = loss_and_gradients(
        hidden_BLD.reshape(-1, model.width),
        output_VD,
        labels_T,
        chunk_tokens(labels_T.size, output_VD.shape[0], program.logits_at_once),
        spread,
    )
    d_trunk, d_x_BLD = pull_back(d_hidden_TD.reshape(hidden_BLD.shape))
    tied = model.tied_embeddings
    d_table_VD = d_output_VD if tied else jnp.zeros(table_VD.shape, jnp.float32)
    d_table_VD = _add_embedded(program, d_table_VD, inputs_BL, d_x_BLD)
    tops = {"embed": embed.gradient(d_table_VD)}
    if not tied:
        tops["output"] = output.gradient(d_output_VD)
    arrays = {name: matrix.arrays[0] for name, matrix in tops.items()}
    return loss, {"params": {**d_trunk["params"], **arrays}}


def lane_token_losses(
    program: LaneProgram, params: Parameters, tokens_BL: Array
) -> Array:
    """Next-token loss of each token but the first of each sequence, in nats."""
    model = program.model
    hidden_BLD, output_VD = _forward(program, params, tokens_BL[:, :-1])
    labels_T = tokens_BL[:, 1:].reshape(-1)
    losses = token_losses(
        hidden_BLD.reshape(-1, model.width),
        output_VD,
        labels_T,
        chunk_tokens(labels_T.size, output_VD.shape[0], program.logits_at_once),
        program.spread,
    )
    return losses.reshape(tokens_BL.shape[0], -1)


def ranked_token_losses(
    program: LaneProgram,
    params: Parameters,
    tokens_BL: Array,
    first_B: Array,
    labels_BS: Array,
) -> tuple[Array, Array]:
    """Losses of some tokens of each sequence, and whether each is the likeliest.

    Args:
        program: What is computed, and how.
        params: As in `lane_gradients`.
        tokens_BL: int32.
        first_B: Positions after which the first of the labels comes.
        labels_BS: Tokens in a row that follow; past the end they mean nothing.

    Returns:
        (B, S) losses in nats, and (B, S) of 1 where no other token would cost less.
    """
    batch, num_scored = labels_BS.shape
    hidden_BLD, output_VD = _forward(program, params, tokens_BL)
    at_BS = first_B[:, None] + jnp.arange(num_scored, dtype=jnp.int32)[None, :]
    at_BS = jnp.minimum(at_BS, np.int32(tokens_BL.shape[1] - 1))
    hidden_BSD = jnp.take_along_axis(hidden_BLD, at_BS[:, :, None], axis=1)
    losses, is_first = ranked_losses(
        hidden_BSD.reshape(batch * num_scored, -1),
        output_VD,
        labels_BS.reshape(-1),
        chunk_tokens(labels_BS.size, output_VD.shape[0], program.logits_at_once),
        program.spread,
    )
    shape = labels_BS.shape
    return losses.reshape(shape), is_first.astype(jnp.int32).reshape(shape)


def logits(program: LaneProgram, params: Parameters, tokens_BL: Array) -> Array:
    """Float32 logits of the token after each one, (B, L, V). For short inputs."""
    hidden_BLD, output_VD = _forward(program, params, tokens_BL)
    return product(hidden_BLD, output_VD.T)


def _forward(
    program: LaneProgram, params: Parameters, inputs_BL: Array
) -> tuple[Array, Array]:
    """Return the last hidden states (B, L, D) and the output matrix (V, D)."""
    embed, output = tables(program, params)
    table_VD = embed.whole(program.model.compute)
    x_BLD = embedded(program, table_VD, inputs_BL)
    hidden_BLD = _hidden(program, _trunk(params), x_BLD, inputs_BL)
    if program.model.tied_embeddings:
        return hidden_BLD, table_VD
    return hidden_BLD, output.whole(program.model.compute)


def _hidden(
    program: LaneProgram, trunk: Parameters, x_BLD: Array, inputs_BL: Array
) -> Array:
    documents_BL = program.attention.documents(inputs_BL)
    hidden_BLD: Any = Blocks(program).apply(trunk, x_BLD, documents_BL)
    found: Array = hidden_BLD
    return found


def tables(program: LaneProgram, params: Parameters) -> tuple[Matrix, Matrix]:
    """Return the embedding and the output matrix, which may be one."""
    top = params["params"]
    embed = program.matrix(top, "embed")
    if program.model.tied_embeddings:
        return embed, embed
    return embed, program.matrix(top, "output")


def _trunk(params: Parameters) -> Parameters:
    """Return what is between the embedding and the output."""
    top = params["params"]
    return {"params": {name: top[name] for name in ("blocks", "final_norm")}}


def embedded(program: LaneProgram, table_VD: Array, inputs_BL: Array) -> Array:
    """Look tokens up in this device's part of the table; (B, L, D) of the whole."""
    spread = program.spread
    if spread.num_parts == 1:
        return table_VD[inputs_BL]
    row_BL, is_here_BL = _rows_here(program, table_VD, inputs_BL)
    found = jnp.where(is_here_BL[..., None], table_VD[row_BL], 0).astype(table_VD.dtype)
    # One device has each token's row, and the others add zeros: exact.
    return spread.sum_of_parts(found)


def _add_embedded(
    program: LaneProgram, d_table_VD: Array, inputs_BL: Array, d_x_BLD: Array
) -> Array:
    """Add the gradients of embeddings to those of the table."""
    added = d_x_BLD.astype(jnp.float32)
    row_BL = inputs_BL
    if program.spread.num_parts > 1:
        row_BL, is_here_BL = _rows_here(program, d_table_VD, inputs_BL)
        added = jnp.where(is_here_BL[..., None], added, jnp.float32(0))
    width = d_table_VD.shape[1]
    return d_table_VD.at[row_BL.reshape(-1)].add(added.reshape(-1, width))


def _rows_here(
    program: LaneProgram, table_VD: Array, inputs_BL: Array
) -> tuple[Array, Array]:
    """Return each token's row in this device's part, and whether it has it."""
    size = table_VD.shape[0]
    row_BL = inputs_BL - program.spread.part_index() * size
    return jnp.clip(row_BL, 0, size - 1), (row_BL >= 0) & (row_BL < size)
