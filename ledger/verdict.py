"""The verdict of a replay: what was compared, and what was found.

`EXACT` is said only where every step, every stage, every tensor of the final state and
every score of the original was compared and was the same. The other grades and what
each asks for are in `ledger.grading`. Whatever was not compared makes the verdict
`INCOMPLETE`; whatever differs more than was declared beforehand makes it `DIVERGED`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ledger.audit import AuditFacts
from ledger.deviation import Tolerance
from ledger.differences import Difference
from ledger.entry import Times
from ledger.facts import CodeFacts, EnvironmentFacts, JsonObject, Sha256
from ledger.parting import Cause
from ledger.recorder import Channel, Outcome
from ledger.seed_band import SeedBand
from specs.base import Value

Grade = Literal[
    "EXACT", "EQUIVALENT", "CONSISTENT", "AUDITED", "DIVERGED", "INCOMPLETE"
]


class Compared(Value):
    """How many of one kind of thing were compared, and were the same."""

    same: int
    total: int
    """How many the original has."""

    @property
    def is_complete(self) -> bool:
        """Whether every one was compared and the same."""
        return self.same == self.total


class Coverage(Value):
    """What was compared, by kind."""

    steps: Compared
    """By batch and weights."""
    metrics: Compared
    """Steps with metrics."""
    stages: Compared
    """By the digest of the weights at their end."""
    tensors: Compared
    """Of the checkpoint at the original's end."""
    scores: Compared
    """Suites, each time they were scored."""
    batches: Compared | None = None
    """Steps by their batch alone; null in verdicts of codemix before 0.2."""
    initial: Compared | None = None
    """Tensors before the first step, by their words; null likewise."""


class Attainable(Value):
    """The best grade to hope for, as known before the first step."""

    grade: Literal["EXACT", "EQUIVALENT", "CONSISTENT"]
    why: str


class Verdict(Value):
    """What a replay found; an entry of the ledger that refers to the original."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    """Version of this document."""
    kind: Literal["replay"] = "replay"
    name: str
    """Of the experiment."""
    original: Sha256
    """Digest of the entry that was replayed."""
    grade: Grade
    what: str
    """The finding in one sentence."""
    first_step: int | None
    """First step that differs more than the grade allows; null unless diverged."""
    channel: Channel | None
    """What differs there; null unless diverged."""
    compared: Coverage
    determinism: Literal["exact", "same-topology", "fast"]
    """What the original claimed."""
    differences: tuple[Difference, ...]
    """In plan, data, code, machine, devices: first suspect first. An exact replay may
    have some: they did not matter."""
    code: CodeFacts
    environment: EnvironmentFacts
    devices: JsonObject
    numerics: str
    canary: str | None
    trace_heads: tuple[Sha256, ...]
    """Per stage, of the replay's own trace as far as it went; empty for an audit."""
    outcome: Outcome
    times: Times
    cause: Cause | None = None
    """What kind of thing the first difference points to; null where there is none."""
    first_bit_step: int | None = None
    """First step with another bit, whatever the grade; null where there is none."""
    tensors: tuple[str, ...] = ()
    """Those that differ there, as far as known."""
    num_tensors: int | None = None
    """Of the weights; null where the original has no words of tensors."""
    details: tuple[str, ...] = ()
    """What else was found out about the first difference."""
    attainable: Attainable | None = None
    tolerance: Tolerance | None = None
    """Declared before the replay, with how far it went; null where none was."""
    band: SeedBand | None = None
    """What seeds do to the final numbers; null where it was not asked for."""
    audit: AuditFacts | None = None
    """Which windows were replayed; null where all of the run was to be."""
