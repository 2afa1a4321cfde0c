"""A study from its specs to its entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.benchmarks import Declare
from runtime.folder_lock import sole_user
from runtime.processes import ALONE
from runtime.progress import Listener, ignore_progress
from runtime.stopping import stopping_on_signals
from runtime.study.events import Event
from runtime.study.local import LocalJobs
from runtime.study.looking import Looker, Row, StudyLook
from runtime.study.places import study_folder
from runtime.study.ready import ReadyStudy, ready_study, workspace_of
from runtime.study.slots import divide
from runtime.study.standing import identify
from specs.study_loaded import Study

LOOK_SECONDS = 1.0


def _ignore_event(event: Event) -> None:
    """Listen to nothing."""


def _ignore_look(look: StudyLook) -> None:
    """Look at nothing."""


@dataclass(frozen=True, kw_only=True)
class StudyListeners:
    """Who is told what while a study goes on."""

    progress: Listener = ignore_progress
    """How far pinning and preparing are."""
    ready: Callable[[ReadyStudy], None] = lambda _: None
    """What is going to be run, once that is known."""
    event: Callable[[Event], None] = _ignore_event
    """A job that stands otherwise than before."""
    look: Callable[[StudyLook], None] = _ignore_look
    """How far all of it is, once a second."""


@dataclass(frozen=True, kw_only=True)
class StudyEnded:
    """What a study came to."""

    study: ReadyStudy
    rows: tuple[Row, ...]
    entries: dict[str, str] = field(default_factory=dict)
    """Name of an experiment -> its entry; of those that are completed."""

    @property
    def is_good(self) -> bool:
        """Whether every experiment has its entry."""
        return all(row.state == "done" for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        study = self.study
        return {
            "name": study.name,
            "jobs": [
                {
                    **row.to_json(),
                    "spec": str(study.spec(study.jobs[row.job])),
                    "log": str(study.log(study.jobs[row.job])),
                }
                for row in self.rows
            ],
            "experiments": [
                {"name": name, "entry": self.entries.get(name)}
                for name in study.graph.members
            ],
        }


def run_study(
    study: Study,
    *,
    declare: Declare,
    program: Sequence[str],
    num_jobs: int = 1,
    options: Sequence[str] = (),
    listeners: StudyListeners | None = None,
) -> StudyEnded:
    """Run every experiment of a study, each shared stage once.

    What the ledger has is not run again, so a call that was killed at any moment can be
    repeated. A job that fails stops none but those that wait for it.

    Args:
        study: With its experiments.
        declare: Tells the benchmarks that an experiment asks for.
        program: Starts codemix, in place of the first word of a command.
        num_jobs: Jobs that run at once, each with its share of the devices.
        options: Added to every `codemix run`.
        listeners: Told how far it is.

    Raises:
        SpecError: A source is gone through too often.
        InputError: Data is not as needed; the machine can't be divided so; or the study
            is being run by another process.
        Preempted: Stopped by SIGTERM; the states of all runs are saved.
        KeyboardInterrupt: Stopped by Ctrl-C; likewise.
    """
    listeners = listeners or StudyListeners()
    slots = divide(num_jobs)
    folder = study_folder(workspace_of(study), study.name)
    with sole_user(folder, "study"):
        ready = ready_study(study, declare, listeners.progress)
        members = list(ready.graph.members.values())
        known = identify(members, ready.locks, slots[0])
        listeners.ready(ready)
        jobs = LocalJobs(ready, known, slots, program, options, listeners.event)
        looker = Looker(jobs)
        with stopping_on_signals() as stopping:
            jobs.run(stopping, _Regularly(looker, listeners.look))
            if jobs.schedule.is_good:
                stopping.reason = ""
            fix = "run the same command again: it goes on from there"
            stopping.raise_reason(ALONE, _stopped(jobs), fix)
        rows = looker.look().rows
        return StudyEnded(study=ready, rows=rows, entries=jobs.look_up().runs)


def _stopped(jobs: LocalJobs) -> str:
    """Tell what became of jobs that were asked to stop."""
    others = []
    for name, one in jobs.schedule.standings.items():
        log = jobs.study.log(jobs.study.jobs[name])
        if one.state == "failed":
            others.append(f"{name} failed ({log})")
        elif one.state == "stopped" and one.reason:
            others.append(f"{name} is {one.reason} ({log})")
    if others:
        return f"stopped; {', '.join(others)}; the states of all other runs are saved"
    return "stopped, and the states of all runs are saved"


class _Regularly:
    """Shows how far a study is, once in a while."""

    def __init__(self, looker: Looker, show: Callable[[StudyLook], None]) -> None:
        self._looker, self._show = looker, show
        self._next = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._show(self._looker.look())
            self._next = time.monotonic() + LOOK_SECONDS
