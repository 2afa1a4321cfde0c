"""The experiment spec: one file, the whole question."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from specs.base import SpecValue
from specs.canonical import digest_of
from specs.checks import experiment_rules
from specs.data import Name, Source, Tokenizer, Weights
from specs.deduplication import Deduplication
from specs.evaluation import Evaluation
from specs.model import AdamW, Model, Precision
from specs.quantities import MAX_COUNT, Whole
from specs.rules import Broken, broken, raise_broken, shown
from specs.stages import Batch, Stage
from specs.stores import Stores

SPEC_VERSION = 1

NOT_HASHED = frozenset({"name", "description", "tags", "amends"})
"""Words for people, and where a spec comes from; they change no digest."""


def _is_absent(value: object) -> bool:
    """Tell a key that came later than version 1: left out where it says nothing."""
    return value is None


class Parallel(SpecValue):
    """How the work is spread over devices beyond the lanes of the batch."""

    tensor: Whole = 1
    """Devices that share each matrix product, a power of two. It changes the rounding,
    so it belongs to the experiment; the batch is spread over the other devices."""

    slices: Whole = 1
    """Groups of devices that each hold a whole copy of the state, such as the slices
    of a multi-slice TPU; a power of two. In exact mode it changes no number."""

    gather: Literal["auto", "step", "layer"] = "auto"
    """When a device gathers the weights that others hold: all of them once per `step`,
    or those of one `layer` at a time, which takes less memory and moves more bytes.
    `auto`: what fits. In exact mode it changes no number."""

    @model_validator(mode="after")
    def _powers_of_two(self) -> Self:
        rules = []
        for name, number in (("tensor", self.tensor), ("slices", self.slices)):
            if number & (number - 1):
                what = f"must be a power of two, got {number}"
                rules.append(Broken(what, "use 1, 2, 4, 8, ...", (name,)))
        raise_broken(rules)
        return self


class Checkpoints(SpecValue):
    """When the state is saved, besides the end of every stage."""

    every_steps: Whole = 1000
    """Steps between checkpoints."""

    keep_last: Whole = 2
    """Checkpoints kept within a stage; those at stage ends are always kept."""

    keep_every: Annotated[Whole, Field(examples=[10_000])] | None = None
    """Steps between checkpoints that are always kept too; null: none of them."""

    location: (
        Annotated[str, Field(min_length=1, examples=["s3://bucket/runs"])] | None
    ) = None
    """Folder, `s3://` or `gs://` in which each run makes its own; null: beside the
    run's journal. A folder may be outside the workspace. Changes no digest."""

    @model_validator(mode="after")
    def _lie_where_they_can(self) -> Self:
        scheme, has_scheme, _ = (self.location or "").partition("://")
        if has_scheme and scheme not in {"s3", "gs"}:
            raise broken(
                f"must be a folder, s3:// or gs://, got {shown(self.location)}",
                "leave the scheme out for a folder",
                "location",
            )
        return self

    @model_validator(mode="after")
    def _kept_ones_are_made(self) -> Self:
        if self.keep_every is not None and self.keep_every % self.every_steps:
            raise broken(
                f"must be a multiple of every_steps, which is {self.every_steps}, "
                f"got {self.keep_every}",
                f"set it to {-(-self.keep_every // self.every_steps)} times that",
                "keep_every",
            )
        return self


class Logging(SpecValue):
    """When numbers are recorded."""

    every_steps: Whole = 1
    """Steps between recorded metrics; fingerprints are recorded at every step."""

    heldout_every_steps: Whole | None = None
    """Steps between held-out losses during training; null: at stage ends only."""


class Amends(SpecValue):
    """The run whose first stages an experiment goes on from."""

    entry: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the run's entry."""

    after: Name
    """Its last stage that is kept; what comes after is the experiment's own."""


def not_empty(value: Any) -> Any:
    """Refuse an empty list or mapping, after what is in it was looked at."""
    if not value:
        raise broken("must hold at least one", "add one")
    return value


Sources = Annotated[
    dict[Name, Source],
    AfterValidator(not_empty),
    Field(json_schema_extra={"minProperties": 1}),
]
Stages = Annotated[
    tuple[Stage, ...],
    AfterValidator(not_empty),
    Field(strict=False, json_schema_extra={"minItems": 1}),
]


def check_version(value: Any) -> Any:
    """Refuse `true`, which Python takes for a 1."""
    if isinstance(value, bool):
        raise broken(f"must be {SPEC_VERSION}, got {shown(value)}", "write a number")
    return value


class Experiment(SpecValue):
    """An experiment spec, version 1."""

    codemix: Annotated[Literal[1], BeforeValidator(check_version)]
    """Version of the spec language."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]*$",
            max_length=128,
            examples=["balanced-to-text"],
        ),
    ]
    """For people: lower-case letters, digits, dots, dashes."""

    description: str = ""
    """For people."""

    tags: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """For people."""

    seed: Annotated[int, Field(ge=0, le=MAX_COUNT, examples=[17])]
    """Every random key is derived from this and a name."""

    model: Model
    """The Transformer that is trained."""

    tokenizer: Tokenizer
    """How text becomes tokens."""

    sources: Sources
    """Source name -> where its documents are and which of them count."""

    deduplicate: Annotated[Deduplication | None, Field(exclude_if=_is_absent)] = None
    """Which documents are kept once; null: every one that passes the filters."""

    mixtures: dict[Name, Weights] = {}
    """Named mixtures of sources and other mixtures."""

    batch: Batch
    """What one optimizer step sees; a stage may have its own."""

    optimizer: AdamW = AdamW()
    """How gradients become updates."""

    precision: Precision = Precision()
    """Number formats."""

    parallel: Parallel = Parallel()
    """How the work is spread over devices."""

    stages: Stages
    """In the order in which they are trained."""

    evals: Annotated[tuple[Evaluation, ...], Field(strict=False)] = ()
    """What is scored at the end of every stage, or more often."""

    checkpoints: Checkpoints = Checkpoints()
    """When the state is saved."""

    stores: Annotated[Stores | None, Field(exclude_if=_is_absent)] = None
    """Where token stores lie; null: in the workspace."""

    logging: Logging = Logging()
    """When metrics and held-out losses are recorded."""

    amends: Amends | None = None
    """The run that this one goes on from: set by `extends`, never written in a file."""

    determinism: Literal["exact", "same-topology", "fast"] = "exact"
    """What is promised: `exact` bits on any number of devices, `same-topology` bits on
    the same devices only, `fast` no more than the data order."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        raise_broken(experiment_rules(self))
        return self


def experiment_digest(experiment: Experiment) -> str:
    """Digest of a resolved spec: every default counts, words for people do not."""
    return resolved_digest(experiment.to_json())


def resolved_digest(document: dict[str, Any]) -> str:
    """Digest of a resolved spec that was stored, maybe by another codemix."""
    counted = {key: document[key] for key in document if key not in NOT_HASHED}
    # A preset is a way of writing the sizes, and those are written out beside it.
    counted["model"] = {**counted["model"], "preset": None}
    # Where states and tokens lie is no part of what they are.
    counted["checkpoints"] = {**counted["checkpoints"], "location": None}
    counted.pop("stores", None)
    return digest_of(counted)
