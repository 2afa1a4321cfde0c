"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.aborts import Tell
from runtime.processes import Processes


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


Warn = Callable[[str], None]
"""Told in one line of something that the user should know."""


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told what while a run goes on."""

    progress: Listener = ignore_progress
    """How far pinning and preparing are."""
    training: TrainingListener = ignore_training
    """How far training is."""
    warn: Warn = lambda _: None
    """What the user should know and stops nothing."""
    tell: Tell = lambda _: None
    """Why this process ends, where it can't be raised: it hangs."""

    def of(self, processes: Processes) -> Listeners:
        """Return these in process 0, and nobody but `tell` in the others."""
        return self if processes.is_first else Listeners(tell=self.tell)


SILENT = Listeners()
"""Nobody is told anything."""
