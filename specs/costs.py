"""What a plan costs, by formula: parameters, arithmetic, checkpoint bytes, epochs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from specs.errors import Problem, SpecError
from specs.lock import Lock
from specs.plan import Plan, PlannedModel, PlannedStage

BYTES_PER_PARAMETER = 12
"""The weight and AdamW's two moments, each a float32."""


@dataclass(frozen=True)
class SourceUse:
    """How far a run goes through one source."""

    tokens_needed: int
    """Tokens from the source's first to its last, over all stages."""

    tokens_per_epoch: int | None
    """Tokens of the training split that one epoch covers: whole shuffled units, of
    which each needs one token more to predict. None until prepared."""

    max_epochs: Fraction

    @property
    def epochs(self) -> Fraction | None:
        """Times that the source is gone through; None until prepared or if empty."""
        if not self.tokens_per_epoch:
            return None
        return Fraction(self.tokens_needed, self.tokens_per_epoch)


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
    return (
        model.layers * matrix_parameters_per_layer(model)
        + norms
        + embedding_parameters(model)
    )


def matrix_parameters_per_layer(model: PlannedModel) -> int:
    """Count the weights that one layer multiplies with: attention and feed-forward."""
    key_width = model.width // model.heads * model.kv_heads
    attention = 2 * model.width * model.width + 2 * model.width * key_width
    return attention + 3 * model.width * model.ffn_width


def embedding_parameters(model: PlannedModel) -> int:
    """Count the weights of the embedding table, and of the output table unless tied."""
    num_tables = 1 if model.tied_embeddings else 2
    return num_tables * model.vocab_size * model.width


def training_flops(plan: Plan) -> int:
    """Count the floating-point operations of all matrix multiplications of a run.

    Per token, forward and backward (three times forward):

        6 * (matrix parameters of all layers + V D) + 12 * layers * D * length

    The first part is the usual 6 N (Kaplan et al., 2020) over the matrices alone, with
    the product of the logits, V D, counted and the look-up of embeddings, which
    multiplies nothing, not. The second is attention, as in PaLM's appendix B
    (Chowdhery et al., 2022): the whole square, though half of it is masked. Work that
    is done twice to save memory does not count.
    """
    return sum(
        stage.num_tokens * flops_per_token(plan.model, stage.sequence_length)
        for stage in plan.stages
    )


def flops_per_token(model: PlannedModel, sequence_length: int) -> int:
    """Count the operations that one token costs; see `training_flops`."""
    matrices = model.layers * matrix_parameters_per_layer(model)
    logits = model.vocab_size * model.width
    attention = 12 * model.layers * model.width * sequence_length
    return 6 * (matrices + logits) + attention


def checkpoint_bytes(plan: Plan) -> int:
    """Return the bytes of one checkpoint: weights and both moments, uncompressed."""
    return plan.num_parameters * BYTES_PER_PARAMETER


def source_uses(plan: Plan, lock: Lock | None) -> dict[str, SourceUse]:
    """Return how far the plan goes through each source.

    Args:
        plan: The plan.
        lock: The spec's lock; epochs are known once it has the source's store.
    """
    return {
        name: SourceUse(
            tokens_needed=_tokens_needed(plan.stages, name),
            tokens_per_epoch=_tokens_per_epoch(plan, lock, name),
            max_epochs=Fraction(source.max_epochs),
        )
        for name, source in plan.sources.items()
    }


def check_epochs(plan: Plan, lock: Lock) -> None:
    """Refuse a plan that goes through a source more often than the spec allows.

    Sources that are not prepared yet pass.

    Raises:
        SpecError: With every such source, and what it would take.
    """
    problems = []
    for name, use in source_uses(plan, lock).items():
        if use.tokens_per_epoch is None:
            continue
        allowed = use.max_epochs * use.tokens_per_epoch
        if use.tokens_needed > allowed:
            problems.append(_too_many_epochs(name, use))
    if problems:
        raise SpecError(problems)


def _tokens_needed(stages: tuple[PlannedStage, ...], source: str) -> int:
    """Return where the source's cursor stands after the last stage."""
    return max(
        (
            stage.start_tokens[source] + stage.sequences[source] * stage.sequence_length
            for stage in stages
            if source in stage.sequences
        ),
        default=0,
    )


def _tokens_per_epoch(plan: Plan, lock: Lock | None, source: str) -> int | None:
    if lock is None or source not in lock.stores:
        return None
    num_units = (lock.stores[source].train_tokens - 1) // plan.shuffle_unit
    return max(num_units, 0) * plan.shuffle_unit


def _too_many_epochs(name: str, use: SourceUse) -> Problem:
    place = f"sources.{name}.max_epochs"
    needed = f"{use.tokens_needed:,} tokens are needed"
    if use.epochs is None:
        what = f"{needed}, the training split has not one whole sequence"
        return Problem(path=place, what=what, fix="add data, or leave the source out")
    what = (
        f"{needed}, an epoch has {use.tokens_per_epoch:,}: {float(use.epochs):.3g} "
        f"epochs, more than {float(use.max_epochs):g}"
    )
    # Rounded up to what people write, so that following the advice once is enough.
    enough = ceil(use.epochs * 100) / 100
    fix = f"set max_epochs to {enough:.2f} or more, lower its weights, or add data"
    return Problem(path=place, what=what, fix=fix)
