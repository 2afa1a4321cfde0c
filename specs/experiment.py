"""The experiment spec: one file, the whole question."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specs.base import Value
from specs.canonical import digest_of
from specs.data import Name, Source, Tokenizer, Weights
from specs.model import AdamW, Model, Precision
from specs.stages import Batch, Stage

SPEC_VERSION = 1

NOT_HASHED = frozenset({"name", "description", "tags"})
"""Words for people; they change no digest."""


class Checkpoints(Value):
    """When the state is saved, besides the end of every stage."""

    every_steps: Annotated[int, Field(gt=0)] = 1000
    """Steps between checkpoints."""

    keep_last: Annotated[int, Field(gt=0)] = 2
    """Checkpoints kept within a stage; those at stage ends are always kept."""


class Logging(Value):
    """When numbers are recorded."""

    every_steps: Annotated[int, Field(gt=0)] = 1
    """Steps between recorded metrics; fingerprints are recorded at every step."""

    heldout_every_steps: Annotated[int, Field(gt=0)] | None = None
    """Steps between held-out losses during training; null: at stage ends only."""


class Evaluation(Value):
    """One suite of scores, taken at the end of every stage."""

    suite: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """`heldout`, `choices`, or the name of a suite of benchmarks."""

    file: str | None = None
    """Questions for `choices`: a JSONL file, pinned like a source."""


class Experiment(Value):
    """An experiment spec, version 1."""

    codemix: Literal[1]
    """Version of the spec language."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=128)]
    """For people: lower-case letters, digits, dots, dashes."""

    description: str = ""
    """For people."""

    tags: tuple[str, ...] = ()
    """For people."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Every random key is derived from this and a name."""

    model: Model
    tokenizer: Tokenizer
    sources: dict[Name, Source]
    """Source name -> where its documents are and which of them count."""

    mixtures: dict[Name, Weights] = {}
    """Named mixtures of sources and other mixtures."""

    batch: Batch
    optimizer: AdamW = AdamW()
    precision: Precision = Precision()
    stages: tuple[Stage, ...]
    """In the order in which they are trained."""

    evals: tuple[Evaluation, ...] = ()
    checkpoints: Checkpoints = Checkpoints()
    logging: Logging = Logging()

    determinism: Literal["exact", "same-topology", "fast"] = "exact"
    """What is promised: `exact` bits on any number of devices, `same-topology` bits on
    the same devices only, `fast` no more than the data order."""


def experiment_digest(experiment: Experiment) -> str:
    """Digest of a resolved spec: every default counts, words for people do not."""
    document = experiment.to_json()
    counted = {key: document[key] for key in document if key not in NOT_HASHED}
    # A preset is a way of writing the sizes, and those are written out beside it.
    counted["model"] = {**counted["model"], "preset": None}
    return digest_of(counted)
