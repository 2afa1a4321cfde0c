"""The benchmark tasks of an experiment, looked up and written out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specs.base import Value
from specs.task import Task


class Asked(Value):
    """What one item of a spec's evals asks of benchmarks."""

    item: int
    """Its index in the spec's `evals`."""
    suite: str | None
    """Name of the average in the scores; null: nothing is averaged."""
    version: int | None
    """Of the suite."""
    tasks: tuple[str, ...]
    """Names of the tasks, in order."""
    sandbox: Literal["bubblewrap", "limits"] = "bubblewrap"
    """The weakest that programs may run in."""


class Benchmarks(Value):
    """The tasks that an experiment is scored with, written out."""

    tasks: dict[str, Task] = {}
    """Name -> declaration, its limit and name those of the scores."""

    asked: tuple[Asked, ...] = ()
    """In the order of the spec's `evals`."""

    kept_out: Annotated[dict[str, Task], Field(exclude_if=lambda found: not found)] = {}
    """Name -> declaration of the tasks whose questions are kept out of the training
    text; they need not be scored."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no task of any kind."""
        return not self.tasks and not self.kept_out


NO_BENCHMARKS = Benchmarks()
