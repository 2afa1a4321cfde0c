"""What a run tells the ledger while it happens.

`runtime` is handed a `Recorder` and knows no other part of the ledger. Three exist:
`NullRecorder` forgets, `ledger.run_recorder.RunRecorder` writes history, and
`ledger.replay.ReplayRecorder` compares what happens with what happened.

A call costs microseconds: it appends a line to a local file or compares a few strings.
No call waits for a tracking server. What a call was given is safe from a killed process
when it returns, and from a power cut a second later; checkpoints, stage ends and
`finish` are safe from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import ConfigDict, Field

from ledger.facts import (
    CodeFacts,
    EnvironmentFacts,
    Fingerprint,
    HexWords,
    JsonObject,
    Sha256,
)
from specs.base import Value
from specs.errors import CheckFailed
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.verdict import Verdict

Step = Annotated[int, Field(ge=0, lt=10**12)]
"""Optimizer step, counted from 0 over the whole run."""

Channel = Literal["batch", "weights", "metrics", "stage", "tensors", "scores"]
"""Where two runs can differ; `batch` means data or its order, `weights` with an equal
batch means arithmetic."""


class RunFacts(Value):
    """Everything that is known when training starts."""

    identity: Sha256
    """The run's identity; runs with the same one continue each other."""
    experiment: Experiment
    raw_spec: str
    """Text of the spec file as the author wrote it."""
    plan: Plan
    lock: Lock
    code: CodeFacts
    environment: EnvironmentFacts
    devices: JsonObject
    """Kind, number, layout and processes of the devices, as the runtime sees them."""
    numerics: str
    """Version of the numerics: changes when the same inputs give other bits."""
    canary: str | None = None
    """Digest of a fixed piece of arithmetic on these devices."""
    resumed_from: Step | None = None
    """First step trained by this process where an earlier one trained steps before it;
    null for a fresh start."""
    tensor_names: tuple[str, ...] = ()
    """Of the weights, sorted: what the words of `StepRecord.tensor_words` are of."""


class StepRecord(Value):
    """One optimizer step, after its update."""

    model_config = ConfigDict(allow_inf_nan=True)

    step: Step
    batch: Fingerprint
    """Of the batch that the step was trained on."""
    weights: Fingerprint
    """Of the weights after the update."""
    tensor_words: HexWords | None = None
    """Of each tensor of the weights after the update; see `ledger.tensor_words`."""
    initial_words: HexWords | None = None
    """Of each tensor before the run's first update; null at all later steps."""
    metrics: dict[str, float] | None = None
    """Name -> value; null where the step is not logged. Functions of the step alone
    (loss, gradient norm, learning rate): a replay and a resumed run must give the same
    numbers. Whatever a clock decides belongs in `timings`."""
    timings: dict[str, float] | None = None
    """Name -> value, such as `tokens_per_second`: recorded, never compared."""


class TensorFacts(Value):
    """One tensor of a checkpoint."""

    sha256: Sha256
    """Over the SHA-256 digests, 32 bytes each, of the rows that a state holds it in:
    for each part of tensor parallelism, each row. A row is little-endian float32: its
    piece of every layer, one after the other. See `runtime.row_files`."""
    shape: tuple[int, ...]
    dtype: str


class Outcome(Value):
    """How a run ended."""

    status: Literal["completed", "failed", "interrupted"]
    """`completed` seals the run; the others may be resumed."""
    reason: str = ""
    """One sentence for people; empty where completed."""


COMPLETED = Outcome(status="completed")


class Diverged(CheckFailed):
    """A step, stage, tensor or score is not what was recorded before.

    Attributes:
        step: First step of the whole run that differs.
        channel: What differs there.
    """

    def __init__(self, what: str, *, step: int, channel: Channel, fix: str) -> None:
        super().__init__(what, fix=fix)
        self.step = step
        self.channel = channel


class Recorder(Protocol):
    """What training reports to, in the order in which things happen.

    `begin`, then per stage `stage_begin`, steps, scores and checkpoints, `stage_end`
    (or `stage_reused`, and the scores at its end that the entry does not have), at last
    `finish`, which is called once, also after a failure.

    A resumed run begins again, reports the checkpoint that it starts from, and then
    everything that comes after it: it is compared with what was recorded, not recorded
    twice. Where the checkpoint is at a stage's end, that end and its scores come after
    it. So whatever a killed process did but could not report is reported now.

    Raises:
        Diverged: From any call: what happens is not what was recorded.
        InputError: From any call: the record can't be written, the disk is full.
    """

    def begin(self, facts: RunFacts) -> None:
        """Start recording; everything else comes after."""

    def stage_begin(self, name: str, step: int) -> None:
        """Note that a stage starts with its first step, `step`."""

    def step(self, record: StepRecord) -> None:
        """Record one step; steps come in order, each once."""

    def scores(
        self,
        step: int,
        suite: str,
        values: Mapping[str, float],
        detail: JsonObject | None = None,
    ) -> None:
        """Record scores of the weights after `step` steps.

        Args:
            step: Steps done, which is one more than the last step's number. What is
                scored before the first step is recorded, and not compared by a replay.
            suite: Name of the suite, such as `heldout`.
            values: Name -> score, a function of the weights and the data alone.
            detail: Anything worth keeping beside them: results per question, sizes.
        """

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        """Record the digests of every tensor of the checkpoint after `step` steps.

        Called when the checkpoint is complete on disk.
        """

    def artifact(self, name: str, path: Path) -> None:
        """Record a small file by digest and keep its bytes in the ledger."""

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        """Note that a stage ended before step `step`.

        Args:
            name: Of the stage.
            step: One past its last step.
            identity: Digest of everything that determines the stage's result.
            weights_digest: SHA-256 over the weights' tensors at its end.
        """

    def stage_reused(self, name: str, entry: str, *, identity: str) -> None:
        """Note that a stage was taken over from an earlier entry, not trained.

        Args:
            name: Of the stage in this run; the entry may call it otherwise.
            entry: Digest of the entry that holds its trace, metrics and scores.
            identity: Of the stage, in both.
        """

    def finish(self, outcome: Outcome) -> Entry | Verdict | None:
        """Close the record and return what it came to; null if nothing is kept."""


class NullRecorder:
    """Records nothing: for benchmarks and for tests of training alone."""

    def begin(self, facts: RunFacts) -> None:
        """Forget."""

    def stage_begin(self, name: str, step: int) -> None:
        """Forget."""

    def step(self, record: StepRecord) -> None:
        """Forget."""

    def scores(
        self,
        step: int,
        suite: str,
        values: Mapping[str, float],
        detail: JsonObject | None = None,
    ) -> None:
        """Forget."""

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        """Forget."""

    def artifact(self, name: str, path: Path) -> None:
        """Forget."""

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        """Forget."""

    def stage_reused(self, name: str, entry: str, *, identity: str) -> None:
        """Forget."""

    def finish(self, outcome: Outcome) -> None:
        """Forget."""
