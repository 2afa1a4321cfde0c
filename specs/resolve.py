"""From an experiment to its plan: pure arithmetic, well under a second."""

from __future__ import annotations

from collections.abc import Mapping

from specs.activations import choose_remat
from specs.canonical import canonical_json
from specs.costs import parameter_count
from specs.data import Source
from specs.deduplication import Deduplication, bands_of
from specs.experiment import Experiment, experiment_digest
from specs.plan import (
    Plan,
    PlannedDeduplication,
    PlannedKeptOut,
    PlannedModel,
    PlannedNear,
    PlannedOptimizer,
    PlannedSource,
    PlannedStage,
)
from specs.schedule import decimal, planned_rate
from specs.stage_sizes import stage_batch, stage_sequences, stage_steps
from specs.stages import Stage


def plan_experiment(experiment: Experiment) -> Plan:
    """Work out everything that is decided before the first byte is read.

    The same experiment gives the same plan, to the bit, on any machine.
    """
    model = _planned_model(experiment)
    stages = _planned_stages(experiment)
    reserve = max(source.holdout for source in experiment.sources.values())
    return Plan(
        plan=1,
        spec_digest=experiment_digest(experiment),
        seed=experiment.seed,
        model=model,
        optimizer=_planned_optimizer(experiment),
        shuffle_unit=max(stage.sequence_length for stage in stages),
        sources={
            name: _planned_source(source, reserve)
            for name, source in sorted(experiment.sources.items())
        },
        deduplicate=_planned_deduplication(experiment.deduplicate),
        stages=stages,
        determinism=experiment.determinism,
        tensor=experiment.parallel.tensor,
        num_parameters=parameter_count(model),
    )


def _planned_stages(experiment: Experiment) -> tuple[PlannedStage, ...]:
    stages: list[PlannedStage] = []
    used_tokens: dict[str, int] = {}
    for stage in experiment.stages:
        previous = stages[-1] if stages else None
        planned = _planned_stage(experiment, stage, previous, used_tokens)
        for name, count in planned.sequences.items():
            used_tokens[name] = (
                planned.start_tokens[name] + count * planned.sequence_length
            )
        stages.append(planned)
    return tuple(stages)


def _planned_stage(
    experiment: Experiment,
    stage: Stage,
    previous: PlannedStage | None,
    used_tokens: Mapping[str, int],
) -> PlannedStage:
    batch = stage_batch(experiment, stage)
    num_steps = stage_steps(experiment, stage)
    model = _planned_model(experiment)
    sequences = stage_sequences(experiment, stage)
    start_step = previous.stop_step if previous else 0
    previous_rate = previous.learning_rate.final if previous else None
    return PlannedStage(
        name=stage.name,
        start_step=start_step,
        stop_step=start_step + num_steps,
        sequences_per_step=batch.sequences,
        sequence_length=batch.length,
        lane_sequences=batch.lane,
        accumulation=batch.accumulation,
        remat=choose_remat(model, batch, experiment.parallel.tensor),
        sequences=sequences,
        # A stage of longer sequences starts at the next whole one of them: reads must
        # not straddle two shuffled units.
        start_tokens={
            name: -(-used_tokens.get(name, 0) // batch.length) * batch.length
            for name in sequences
        },
        learning_rate=planned_rate(stage.learning_rate, num_steps, previous_rate),
        # Only the first stage may leave it out.
        optimizer=stage.optimizer or "reset",
    )


def _planned_model(experiment: Experiment) -> PlannedModel:
    model = experiment.model
    return PlannedModel(
        layers=model.layers,
        width=model.width,
        heads=model.heads,
        kv_heads=model.kv_heads,
        ffn_width=model.ffn_width,
        vocab_size=experiment.tokenizer.vocab_size,
        block=model.block,
        norm=model.norm,
        norm_epsilon=decimal(model.norm_epsilon),
        rope_theta=decimal(model.rope_theta),
        attention_mask=model.attention_mask,
        tied_embeddings=model.tied_embeddings,
        init=model.init,
        compute=experiment.precision.compute,
    )


def _planned_optimizer(experiment: Experiment) -> PlannedOptimizer:
    adamw = experiment.optimizer
    return PlannedOptimizer(
        kind=adamw.kind,
        beta1=decimal(adamw.beta1),
        beta2=decimal(adamw.beta2),
        epsilon=decimal(adamw.epsilon),
        weight_decay=decimal(adamw.weight_decay),
        clip_norm=None if adamw.clip_norm is None else decimal(adamw.clip_norm),
    )


def _planned_source(source: Source, reserve: float) -> PlannedSource:
    values = source.to_json()
    reader = values.get("reader")
    return PlannedSource(
        format=source.format,
        field=source.field,
        where=canonical_json(values["where"]).decode(),
        filters=canonical_json(values["filters"]).decode(),
        holdout=decimal(source.holdout),
        reserve=decimal(reserve),
        max_epochs=decimal(source.max_epochs),
        on_corrupt=source.on_corrupt,
        reader=None if reader is None else canonical_json(reader).decode(),
        pinned_as=source.pinned_as,
    )


def _planned_deduplication(
    declared: Deduplication | None,
) -> PlannedDeduplication | None:
    if declared is None:
        return None
    near = declared.near
    planned = None
    if near is not None:
        threshold = decimal(near.threshold)
        bands, rows = bands_of(threshold, near.permutations)
        planned = PlannedNear(
            threshold=threshold,
            shingle=near.shingle,
            size=near.size,
            permutations=near.permutations,
            bands=bands,
            rows=rows,
            seed=near.seed,
            version=near.version,
        )
    kept_out = declared.benchmarks
    return PlannedDeduplication(
        sources=declared.sources,
        exact=declared.exact,
        normalise=declared.normalise,
        near=planned,
        benchmarks=None if kept_out is None else PlannedKeptOut(**kept_out.to_json()),
        version=declared.version,
    )
