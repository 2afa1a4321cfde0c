"""What the training loop is handed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ledger.recorder import Recorder
from runtime.attention import NO_TOKEN
from runtime.checkpoint import CheckpointFolder
from runtime.permutation import Ints
from runtime.progress import TrainingListener, ignore_training
from runtime.state import Layout, TrainState
from runtime.token_rows import Tokens
from specs.experiment import Checkpoints, Logging
from specs.plan import Plan


class Scorer(Protocol):
    """Scores a state and reports the scores."""

    def is_due(self, step: int) -> bool:
        """Whether weights are scored after `step` steps; at stage ends they are."""
        ...

    def __call__(self, state: TrainState, layout: Layout, *, step: int) -> None:
        """Score the weights after `step` steps, with all that is due then."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a run is trained with."""

    plan: Plan
    identities: list[str]
    """Of the stages, in order."""
    read_batch: Callable[[int, Ints], Tokens]
    """Step, and the rows of it that this process needs -> B x (L + 1) tokens."""
    sources_of: Callable[[int], Mapping[str, int]]
    """Step -> source -> sequences, to tell what a failed step was trained on."""
    recorder: Recorder
    checkpoints: CheckpointFolder
    cadence: Checkpoints
    logging: Logging
    score: Scorer
    eos_id: int = NO_TOKEN
    """Last token of each document."""
    num_reused: int = 0
    """Stages that were taken over: the first ones; training begins after them."""
    stop_after: int | None = None
    """Steps done after which to stop on purpose."""
    is_stopping: threading.Event = field(default_factory=threading.Event)
    """Set from outside to stop at the next step."""
    progress: TrainingListener = ignore_training

    def is_enough(self, step: int) -> bool:
        """Whether so many steps are done as were asked for."""
        return self.stop_after is not None and step >= self.stop_after
