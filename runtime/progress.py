"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one piece of long work is."""

    task: str
    """What is being done, such as `tokenise code`."""
    done_bytes: int
    total_bytes: int
    documents: int = 0
    """Documents done; 0 where they are not counted."""


Listener = Callable[[Progress], None]
"""Called often, from the thread that started the work."""


def ignore_progress(progress: Progress) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """How far training is, after a step."""

    stage: str
    step: int
    """Steps done, over the whole run."""
    num_steps: int
    """Steps of the whole run."""
    loss: float | None = None
    """In nats per token; None where the step is not logged."""
    tokens_per_second: float | None = None
    """Over the last steps, on the wall."""


TrainingListener = Callable[[TrainingProgress], None]
"""Called after steps, from the thread that trains."""


def ignore_training(progress: TrainingProgress) -> None:
    """Listen to nothing."""
