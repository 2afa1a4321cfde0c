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
