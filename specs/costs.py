"""What a plan costs, by formula: parameters, arithmetic, checkpoint bytes, epochs."""

from __future__ import annotations

from specs.plan import PlannedModel


def parameter_count(model: PlannedModel) -> int:
    """Count the weights of the model.

    With width D, F inside the feed-forward, K of H heads for keys and values and
    vocabulary V, a layer has the query and output matrices (2 D^2), keys and values
    (2 D^2 K / H), the three matrices of SwiGLU (3 D F) and one norm (two if
    sequential) of D; then come a final norm, the embedding table V D, and the output
    table V D unless tied. There are no biases.
    """
    norms_per_layer = 1 if model.block == "parallel" else 2
    norms = (model.layers * norms_per_layer + 1) * model.width
    tables = 1 if model.tied_embeddings else 2
    return (
        model.layers * matrix_parameters_per_layer(model)
        + norms
        + tables * model.vocab_size * model.width
    )


def matrix_parameters_per_layer(model: PlannedModel) -> int:
    """Count the weights that one layer multiplies with: attention and feed-forward."""
    key_width = model.width // model.heads * model.kv_heads
    attention = 2 * model.width * model.width + 2 * model.width * key_width
    return attention + 3 * model.width * model.ffn_width
