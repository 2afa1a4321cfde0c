"""The ledger entry of a run: what was asked, what it was made of, what came out.

An entry is written once, as canonical JSON, and read for ever: a field of schema 1 is
never renamed or given another meaning, and an entry's digest is always taken over its
stored bytes, never over what a later codemix reads from them. Large things are objects
of the ledger, named by their digest. Numbers that were measured are text (see
`ledger.floats`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ledger.facts import (
    CodeFacts,
    EnvironmentFacts,
    Fingerprint,
    JsonObject,
    ObjectRef,
    Sha256,
)
from ledger.recorder import Outcome
from specs.base import Value

SCHEMA_VERSION = 1


class StageFacts(Value):
    """One stage, as far as it was trained."""

    name: str
    start_step: int
    stop_step: int
    """One past the last step that was trained."""
    identity: Sha256 | None
    """Digest of everything that determines the result; null if it did not end."""
    weights_digest: Sha256 | None
    """SHA-256 over the weights at its end; null if it did not end."""
    weights: Fingerprint | None
    """Fingerprint of the weights after its last step; null before the first."""
    trace: ObjectRef
    """See `ledger.trace`."""
    trace_head: Sha256
    """Last link of the trace's chain."""
    metrics: ObjectRef
    """See `ledger.series`."""
    timings: ObjectRef
    """A series too: `unix_ms`, when a logged step was recorded, and what a clock
    decides. Informative."""
    tensor_words: ObjectRef | None = None
    """See `ledger.tensor_words`; null where a step was recorded without."""
    reused_from: Sha256 | None = None
    """The entry that the stage was taken over from; null if this run trained it."""


class CheckpointFacts(Value):
    """One checkpoint, by the digests of its tensors."""

    step: int
    """Steps done."""
    tensors: ObjectRef
    """Canonical JSON: tensor name -> SHA-256, shape, dtype."""


class ScoreFacts(Value):
    """One suite of scores of the weights after some step."""

    step: int
    """Steps done."""
    suite: str
    values: dict[str, str]
    """Name -> number as text."""
    detail: ObjectRef | None
    """JSON beside the scores, such as results per question."""


class ArtifactFacts(Value):
    """One file that the run made and the ledger keeps."""

    name: str
    content: ObjectRef


class Seam(Value):
    """A place where a run was cut and went on in another process."""

    step: int
    """First step of the process that went on."""
    unix_ms: int
    host: str
    differences: tuple[str, ...]
    """How its code, machine or devices differed from those of the first process."""


class Times(Value):
    """When it happened, by the clock of the machine. Informative."""

    started_unix_ms: int
    ended_unix_ms: int
    recorded_seconds: str
    """Time that processes spent on the run, pauses left out; text of a float."""


class Parent(Value):
    """Where a run goes on from: it keeps the stages of another run up to there."""

    entry: Sha256
    stage: str
    """The last one that is kept."""
    step: int
    """Steps done by then."""


class Entry(Value):
    """One run."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    """Version of this document."""
    kind: Literal["run"] = "run"
    name: str
    """Of the experiment, for people."""
    identity: Sha256
    """Of the run: digest of everything that determines it."""
    recording: str
    """Random name of the run's journal: tells two runs of one identity apart."""
    outcome: Outcome
    spec: JsonObject
    """The resolved experiment, defaults written out."""
    spec_digest: Sha256
    raw_spec: ObjectRef
    """The spec file as its author wrote it."""
    plan: ObjectRef
    """Canonical JSON, so that its SHA-256 is the plan's digest."""
    lock: ObjectRef
    """Canonical JSON, so that its SHA-256 is the lock's digest."""
    determinism: Literal["exact", "same-topology", "fast"]
    """What was claimed; a verdict never promises more."""
    code: CodeFacts
    environment: EnvironmentFacts
    devices: JsonObject
    numerics: str
    canary: str | None
    stages: tuple[StageFacts, ...]
    checkpoints: tuple[CheckpointFacts, ...]
    scores: tuple[ScoreFacts, ...]
    artifacts: tuple[ArtifactFacts, ...]
    seams: tuple[Seam, ...]
    times: Times
    journal: Sha256 | None = None
    """SHA-256 of the run's journal up to the line that names this entry; null of an
    entry that is older than this field."""
    parent: Parent | None = None
    """The run that this one goes on from; null where it goes on from none."""

    @property
    def num_steps(self) -> int:
        """Steps of the whole run that the entry accounts for."""
        return self.stages[-1].stop_step if self.stages else 0

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 over the final weights; null if the last stage did not end."""
        return self.stages[-1].weights_digest if self.stages else None
