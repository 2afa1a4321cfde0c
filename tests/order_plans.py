"""Plans of given counts and lengths, for tests of the order of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specs.plan import (
    Plan,
    PlannedModel,
    PlannedOptimizer,
    PlannedRate,
    PlannedSource,
    PlannedStage,
)

RATE = PlannedRate(
    schedule="constant",
    warmup_steps=0,
    warmup_from="0",
    peak="0.001",
    final="0.001",
    decay_steps=0,
    decay="none",
)

SOURCE = PlannedSource(
    format="text",
    field="text",
    where="{}",
    filters="[]",
    holdout="0.1",
    reserve="0.1",
    max_epochs="1000",
    on_corrupt="error",
)

MODEL = PlannedModel(
    layers=2,
    width=32,
    heads=2,
    kv_heads=2,
    ffn_width=64,
    vocab_size=320,
    block="parallel",
    norm="layernorm",
    norm_epsilon="1e-05",
    rope_theta="10000",
    attention_mask="causal",
    tied_embeddings=True,
    init="glorot_normal",
    compute="float32",
)

OPTIMIZER = PlannedOptimizer(
    kind="adamw",
    beta1="0.9",
    beta2="0.95",
    epsilon="1e-08",
    weight_decay="0.1",
    clip_norm="1",
)


def make_plan(
    stages: Sequence[Mapping[str, int]],
    *,
    lengths: Sequence[int] | None = None,
    sequences_per_step: int = 1,
    seed: int = 17,
    model: PlannedModel = MODEL,
) -> Plan:
    """Build a plan of stages that continue each source where the last one stopped.

    Args:
        stages: For each stage, source name -> sequences.
        lengths: Tokens per sequence of each stage; 8 by default.
        sequences_per_step: Must divide the sequences of each stage.
        seed: The experiment's seed.
        model: The model's sizes.
    """
    lengths = lengths or [8] * len(stages)
    planned: list[PlannedStage] = []
    used: dict[str, int] = {}
    for number, (counts, length) in enumerate(zip(stages, lengths, strict=True)):
        num_steps, rest = divmod(sum(counts.values()), sequences_per_step)
        assert rest == 0
        # A stage with longer sequences starts at the next whole one.
        starts = {name: -(-used.get(name, 0) // length) * length for name in counts}
        for name, count in counts.items():
            used[name] = starts[name] + count * length
        start_step = planned[-1].stop_step if planned else 0
        planned.append(
            PlannedStage(
                name=f"stage_{number}",
                start_step=start_step,
                stop_step=start_step + num_steps,
                sequences_per_step=sequences_per_step,
                sequence_length=length,
                lane_sequences=1,
                accumulation=1,
                remat="none",
                sequences=dict(counts),
                start_tokens=starts,
                learning_rate=RATE,
                optimizer="keep" if planned else "reset",
            )
        )
    return Plan(
        plan=1,
        spec_digest="0" * 64,
        seed=seed,
        model=model,
        optimizer=OPTIMIZER,
        shuffle_unit=max(lengths),
        sources={name: SOURCE for stage in stages for name in stage},
        stages=tuple(planned),
        determinism="exact",
        tensor=1,
        num_parameters=0,
    )
