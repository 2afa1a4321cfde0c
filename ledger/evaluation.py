"""An evaluation that was made after a run: what was asked, and what came out.

A run's own scores are in its entry. What is asked later (other suites, a newer version
of a task, a win-rate, a report on contamination) is a document of its own that names
the weights by their digest, so it is chained, checked and signed like everything else,
and holds for every entry with these weights.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from ledger.entry import ScoreFacts
from ledger.facts import CodeFacts, EnvironmentFacts, JsonObject, ObjectRef, Sha256
from specs.base import Value
from specs.canonical import digest_of


class AskedTask(Value):
    """One task as it was asked."""

    name: str
    """What its score is called, see `ScoreFacts.suite`."""
    version: int
    fingerprint: Sha256
    """Digest over all that can change its numbers."""
    data: Sha256 | None
    """Digest of the rows that were asked; null where the task pins them otherwise."""
    main: str | None = None
    """The metric that stands for it in averages; null where none is taken."""


class AskedSuite(Value):
    """One suite: tasks that are averaged, as `average` of the score of its name."""

    name: str
    version: int
    tasks: tuple[str, ...]
    """Names, of `AskedTask`."""


class Extra(Value):
    """Something that belongs to an evaluation and is no score."""

    name: str
    """Such as `contamination`, `judgements/dolly`, `sandbox`, `shapes`, `versions`."""
    mode: str | None = None
    """How it was had, such as `record` or `replay` of judgements."""
    content: ObjectRef
    """Canonical JSON."""


class Evaluation(Value):
    """Scores of some weights, made after the run that trained them."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    """Version of this document."""
    kind: Literal["evaluation"] = "evaluation"
    name: str
    """Of the entry that it is about; of weights without one, what they were called."""
    subject: Sha256 | None
    """Digest of the entry; null where no entry was known to have these weights."""
    stage: str | None
    """Of the entry; null where there is none."""
    step: int
    """Steps done, as the checkpoint says."""
    weights_digest: Sha256
    """SHA-256 over the weights, as in the entry's stages."""
    suites: tuple[AskedSuite, ...]
    tasks: tuple[AskedTask, ...]
    scores: tuple[ScoreFacts, ...]
    """One per task, of the task's name, with results per question as detail; and
    what else was made of them, such as averages over a suite."""
    extras: tuple[Extra, ...]
    results: Sha256
    """Digest over what was asked and what came out, see `results_digest`: equal in
    every evaluation that found the same."""
    code: CodeFacts
    environment: EnvironmentFacts
    devices: JsonObject
    numerics: str
    canary: str | None
    unix_ms: int
    """When it was recorded, by the clock of the machine."""


class StoredEvaluation(NamedTuple):
    """An evaluation with the digest of its stored bytes."""

    digest: str
    entry: Evaluation


def results_digest(document: dict[str, Any]) -> str:
    """Digest what was asked of which weights and what came out, for `results`.

    Where, when and by which code is left out, and so is how an extra was had:
    judgements that are read again are the same judgements.

    Args:
        document: The evaluation as JSON; needs no `results` yet.
    """
    names = ("weights_digest", "step", "suites", "tasks", "scores")
    extras = [{**extra, "mode": None} for extra in document["extras"]]
    return digest_of({"extras": extras, **{name: document[name] for name in names}})
