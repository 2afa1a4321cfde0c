"""What does the jobs of a pass over data: processes of this machine, or a cluster.

A pass is a module with the handler of a job and a list of jobs. Each job writes files
of its own, named beforehand, into folders that all machines share, and answers with a
JSON value. So a pass neither knows nor depends on who does its jobs, and in what order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from runtime.workers import Event, WorkerPool


class Workers(Protocol):
    """Whoever does jobs; used as a context."""

    def __enter__(self) -> Self:
        """Return themselves."""

    def __exit__(self, *_: object) -> None:
        """End whatever is still being done."""

    def run(self, jobs: Sequence[Any]) -> Iterator[Event]:
        """Do jobs and yield what happens, in the order in which it happens.

        Raises:
            InputError: They can't be done here.
            RuntimeError: A handler crashed; with its traceback.
        """


class Engine(Protocol):
    """Where workers come from."""

    def open(
        self, module: str, *, num_workers: int, environ: Mapping[str, str]
    ) -> Workers:
        """Return workers of a pass.

        Args:
            module: A module whose `load()` returns what does the jobs.
            num_workers: Processes of this machine, if it does the work.
            environ: Added to the environment of the workers.
        """


class LocalEngine:
    """Worker processes of this machine."""

    def open(
        self, module: str, *, num_workers: int, environ: Mapping[str, str]
    ) -> Workers:
        """Start the workers at once."""
        return WorkerPool(module, num_workers=num_workers, environ=environ)


LOCAL = LocalEngine()
