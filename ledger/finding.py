"""One thing that a check of the ledger found wrong: a problem with its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from specs.errors import Problem

Kind = Literal["head", "log", "entry", "object", "journal", "signature", "mlflow"]


@dataclass(frozen=True, kw_only=True)
class Finding(Problem):
    """One thing that is not as it was recorded."""

    kind: Kind
    """Where it was found."""


Listen = Callable[[str, int, int], None]
"""Told how far a check is: the task, what of it is done, and all of it."""


def silent(task: str, done: int, total: int) -> None:
    """Listen to nothing."""
