"""Which job of a study comes next, and what becomes of those that wait for it.

No processes here: whoever runs jobs asks what is ready and says how each ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from specs.study_jobs import Job

State = Literal["waiting", "running", "done", "failed", "blocked", "stopped"]
"""`stopped`: on purpose, the next call goes on; `blocked`: by one that failed."""


@dataclass
class Standing:
    """How a job stands."""

    state: State = "waiting"
    is_kept: bool = False
    """Whether the ledger had all that it is for before it came to its turn."""
    reason: str = ""
    """Why it failed, or which job it is blocked by."""


@dataclass
class Schedule:
    """The jobs of a study with their states."""

    jobs: dict[str, Job]
    """Each after those that it waits for."""
    standings: dict[str, Standing] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with all jobs waiting."""
        self.standings = {name: Standing() for name in self.jobs}
        self._heirs: dict[str, list[str]] = {name: [] for name in self.jobs}
        for name, job in self.jobs.items():
            for parent in job.parents:
                self._heirs[parent].append(name)
        self._ahead: dict[str, int] = {}
        for name in reversed(self.jobs):
            heirs = [self._ahead[heir] for heir in self._heirs[name]]
            self._ahead[name] = self.jobs[name].flops + max(heirs, default=0)

    def keep(self, stages: Collection[str], experiments: Collection[str]) -> None:
        """Mark what need not be run.

        Args:
            stages: Identities of those that the ledger has, with their checkpoints.
            experiments: Names of those that it has an entry of.
        """
        for name in reversed(self.jobs):
            job = self.jobs[name]
            if self.standings[name].state != "waiting":
                continue
            needed = [
                heir for heir in self._heirs[name] if not self.standings[heir].is_kept
            ]
            if job.is_whole:
                is_there = job.experiment in experiments
            else:
                is_there = not needed or job.stages[-1] in stages
            if is_there:
                self.standings[name] = Standing("done", is_kept=True)

    def ready(self) -> list[str]:
        """Return the jobs that can start, those with the longest way ahead first."""
        names = [
            name
            for name, job in self.jobs.items()
            if self.standings[name].state == "waiting"
            and all(self.standings[one].state == "done" for one in job.parents)
        ]
        return sorted(names, key=lambda name: -self._ahead[name])

    def begin(self, name: str) -> None:
        """Say that a job runs."""
        self.standings[name] = Standing("running")

    def end(self, name: str, state: State, reason: str = "") -> list[str]:
        """Say how a job ended.

        Returns:
            Names of the jobs that are blocked by it now.
        """
        self.standings[name] = Standing(state, reason=reason)
        if state != "failed":
            return []
        blocked = []
        waiting = list(self._heirs[name])
        while waiting:
            heir = waiting.pop(0)
            if self.standings[heir].state == "waiting":
                self.standings[heir] = Standing("blocked", reason=name)
                blocked.append(heir)
                waiting += self._heirs[heir]
        return blocked

    @property
    def is_good(self) -> bool:
        """Whether all jobs are done."""
        return all(one.state == "done" for one in self.standings.values())
