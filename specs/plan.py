"""The plan: what an experiment comes to, in integers and strings alone.

Same spec, same plan, same digest, on any machine and without jax. Decimal numbers are
strings, the shortest that read back as the same float64, so that no printer or parser
can change one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from specs.base import Value


class PlannedRate(Value):
    """A learning-rate schedule with its hand-over resolved to numbers."""

    schedule: Literal["constant", "cosine", "linear", "warmup_stable_decay"]
    warmup_steps: int
    warmup_from: str
    peak: str
    final: str
    """Of the last step; equal to `peak` for `constant`."""
    decay_steps: int
    """Steps of decay at the end of the stage; 0 for `constant`."""
    decay: Literal["none", "linear", "cosine", "sqrt"]


class PlannedStage(Value):
    """One stage, to the step and to the sequence."""

    name: str
    start_step: int
    """First step, counted over the whole run."""
    stop_step: int
    """One past the last step."""
    sequences_per_step: int
    sequence_length: int
    lane_sequences: int
    accumulation: int
    remat: Literal["none", "attention", "block"]
    """What of a block is kept for the backward pass; see `specs.stages.Batch`."""
    sequences: dict[str, int]
    """Source name -> sequences of it in this stage; together `num_sequences`."""
    start_tokens: dict[str, int]
    """Source name -> tokens of it that earlier stages used up, a multiple of this
    stage's sequence length."""
    learning_rate: PlannedRate
    optimizer: Literal["keep", "reset"]
    """The first stage has `reset`."""

    @property
    def num_steps(self) -> int:
        """Optimizer steps in this stage."""
        return self.stop_step - self.start_step

    @property
    def num_lanes(self) -> int:
        """Lanes per step, a power of two."""
        return self.sequences_per_step // self.lane_sequences

    @property
    def num_sequences(self) -> int:
        """Sequences over all steps of the stage."""
        return self.num_steps * self.sequences_per_step

    @property
    def num_tokens(self) -> int:
        """Tokens over all steps of the stage."""
        return self.num_sequences * self.sequence_length


class PlannedModel(Value):
    """The sizes that the runtime builds; see `specs.model.Model` for meanings."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn_width: int
    vocab_size: int
    block: Literal["parallel", "sequential"]
    norm: Literal["layernorm", "rmsnorm"]
    norm_epsilon: str
    rope_theta: str
    attention_mask: Literal["causal", "document"]
    tied_embeddings: bool
    init: Literal["glorot_normal"]
    compute: Literal["float32", "bfloat16"]


class PlannedOptimizer(Value):
    """AdamW's numbers, as decimal strings."""

    kind: Literal["adamw"]
    beta1: str
    beta2: str
    epsilon: str
    weight_decay: str
    clip_norm: str | None


def _is_absent(value: object) -> bool:
    return value is None


class PlannedSource(Value):
    """What decides the bytes of one source's token store, but for the pinned bytes."""

    format: str
    field: str
    where: str
    """Canonical JSON of the conditions."""
    filters: str
    """Canonical JSON of the filters."""
    holdout: str
    reserve: str
    """The largest holdout share of any source: a document below it is nowhere trained
    on, so that no copy of a held-out document is seen through another source."""
    max_epochs: str
    on_corrupt: str
    reader: Annotated[str | None, Field(exclude_if=lambda found: found is None)] = None
    """Canonical JSON of the reader; null: a row's text is its field."""
    pinned_as: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """The source that this is a subset of, whose files it shares."""
    chosen: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """Canonical JSON: reason of a filter that chooses by counting -> the values that it
    keeps. Never in a plan: for reading, once the pinned files are counted."""


class PlannedNear(Value):
    """When a document is nearly the same as another."""

    threshold: str
    shingle: Literal["words", "characters"]
    size: int
    permutations: int
    bands: int
    rows: int
    """Numbers of the signature in each band."""
    seed: int
    version: int


class PlannedKeptOut(Value):
    """Benchmarks whose questions are kept out; their tasks are in the lock."""

    suites: tuple[str, ...]
    tasks: tuple[str, ...]
    ngram: int | None
    version: int


class PlannedDeduplication(Value):
    """Which documents are kept once."""

    sources: tuple[str, ...]
    """The first that has a document keeps it."""
    exact: bool
    normalise: Literal["none", "whitespace"]
    near: PlannedNear | None
    benchmarks: Annotated[PlannedKeptOut | None, Field(exclude_if=_is_absent)] = None
    version: int

    def rule(self) -> dict[str, Any]:
        """Return what makes a document a duplicate, without the sources."""
        rule = self.to_json()
        del rule["sources"]
        return rule

    def until(self, name: str) -> tuple[str, ...]:
        """Return the sources that decide what is kept of one: those up to it."""
        if name not in self.sources:
            return ()
        return self.sources[: self.sources.index(name) + 1]


class Plan(Value):
    """Everything that is decided before the first byte is read."""

    plan: Literal[1]
    """Version of this document."""
    spec_digest: str
    seed: int
    model: PlannedModel
    optimizer: PlannedOptimizer
    shuffle_unit: int
    """Tokens that are shuffled as one: the longest sequence length of any stage. Every
    stage's sequence length divides it."""
    sources: dict[str, PlannedSource]
    deduplicate: Annotated[
        PlannedDeduplication | None, Field(exclude_if=_is_absent)
    ] = None
    stages: tuple[PlannedStage, ...]
    determinism: Literal["exact", "same-topology", "fast"]
    tensor: int
    """Degree of tensor parallelism: devices that share each matrix product."""
    num_parameters: int

    @property
    def num_steps(self) -> int:
        """Optimizer steps over the whole run."""
        return self.stages[-1].stop_step

    @property
    def num_tokens(self) -> int:
        """Tokens over the whole run."""
        return sum(stage.num_tokens for stage in self.stages)

    def deduplicated_until(self, name: str) -> tuple[str, ...]:
        """Return the sources that decide which documents of one are kept once.

        In their order, the source itself last; nothing if all of them are kept.
        """
        return () if self.deduplicate is None else self.deduplicate.until(name)

    def input_of(self, name: str) -> str:
        """Return the key in the lock of the files of a source."""
        return f"sources.{self.sources[name].pinned_as or name}"

    def stage_at(self, step: int) -> PlannedStage:
        """Return the stage that a step of the whole run belongs to."""
        for stage in self.stages:
            if stage.start_step <= step < stage.stop_step:
                return stage
        raise IndexError(f"step {step} is outside 0 to {self.num_steps - 1}")
