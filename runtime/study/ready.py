"""A study whose specs are written and whose data is ready: what runs it starts here.

On this machine `runtime.study.local` runs its jobs. Whoever hands them to a cluster
takes the same `jobs`, each with its command and the names of those that it waits for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runtime.benchmarks import Declare
from runtime.folder_lock import sole_user
from runtime.progress import Listener, ignore_progress
from runtime.study.pinning import ready_locks
from runtime.study.places import prepared_locks, spec_of, study_folder
from specs.canonical import digest_of
from specs.lock import Lock
from specs.study_graph import Member, StudyGraph, study_graph
from specs.study_jobs import Job, jobs_of
from specs.study_loaded import Study
from specs.workspace import find_workspace
from specs.write_resolved import write_resolved


@dataclass(frozen=True, kw_only=True)
class ReadyStudy:
    """A study that can be run."""

    name: str
    folder: Path
    """Under `.codemix/studies`, by its way from the current folder."""
    workspace: Path
    """The folder that holds `.dvc/`."""
    graph: StudyGraph
    """With stages told apart by the bytes of their data."""
    locks: Mapping[str, Lock]
    """By name of the experiment, with all token stores."""

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """What is run, by name, each after those that it waits for."""
        return jobs_of(self.graph)

    def spec(self, job: Job) -> Path:
        """Return the spec file of a job's experiment."""
        return spec_of(self.folder, job.experiment)

    def command(self, job: Job) -> tuple[str, ...]:
        """Return the command line of a job."""
        return job.command(self.spec(job))

    def asked(self, job: Job, place: str, command: Sequence[str]) -> str:
        """Digest of what determines a job, and of where it is run.

        A queue is told it with the job, so that the job is found there again.

        Args:
            job: One of the study's.
            place: Names the workspace.
            command: Its command line, as it is run there.
        """
        member = self.graph.members[job.experiment]
        stages = list(member.stages)
        if not job.is_whole:
            stages = stages[: stages.index(job.stages[-1]) + 1]
        return digest_of(
            {
                "workspace": place,
                "command": list(command),
                "spec": member.plan.spec_digest if job.is_whole else None,
                "stages": stages,
            }
        )

    def log(self, job: Job) -> Path:
        """Return the file that a job's output goes to."""
        # No stage is called so.
        stage = "_run" if job.is_whole else job.name.rpartition("/")[2]
        return self.folder / "logs" / job.experiment / f"{stage}.log"


def workspace_of(study: Study) -> Path:
    """Return the workspace of a study, by its way from the current folder.

    Raises:
        InputError: It is in none.
    """
    return Path(os.path.relpath(find_workspace(study.path / "any.yaml")))


def ready_study(
    study: Study, declare: Declare, progress: Listener = ignore_progress
) -> ReadyStudy:
    """Write the specs of a study, pin and prepare their data.

    What is done already is kept, so a call that was killed can be repeated.

    Args:
        study: With its experiments.
        declare: Tells the benchmarks that an experiment asks for.
        progress: Told how far it is.

    Raises:
        SpecError: A source is gone through too often.
        InputError: The study is in no workspace; or data is missing, corrupt or not
            what a lock says.
    """
    workspace = workspace_of(study)
    folder = study_folder(workspace, study.name)
    members = _write_specs(study, folder)
    locks = ready_locks(members, folder, workspace, declare, progress)
    return ReadyStudy(
        name=study.name,
        folder=folder,
        workspace=workspace,
        graph=study_graph(study.experiments, locks),
        locks=locks,
    )


@contextmanager
def planned_alone(study: Study) -> Iterator[ReadyStudy]:
    """Yield a study whose specs are written and whose data is left alone.

    Where all of it is prepared already, this is what `ready_alone` yields; before that,
    stages are told apart by the words that define their data.

    Raises:
        InputError: The study is in no workspace, or another process is at work on it.
    """
    workspace = workspace_of(study)
    folder = study_folder(workspace, study.name)
    with sole_user(folder, "study"):
        locks = prepared_locks(_write_specs(study, folder), folder)
        yield ReadyStudy(
            name=study.name,
            folder=folder,
            workspace=workspace,
            graph=study_graph(study.experiments, locks),
            locks=locks or {},
        )


def _write_specs(study: Study, folder: Path) -> list[Member]:
    """Write each experiment of a study as a spec of its own."""
    members = list(study_graph(study.experiments).members.values())
    for member in members:
        about = f"{member.name} of the study {study.name}, resolved from {member.path}"
        write_resolved(spec_of(folder, member.name), member.experiment, about)
    return members


@contextmanager
def ready_alone(
    study: Study, declare: Declare, progress: Listener = ignore_progress
) -> Iterator[ReadyStudy]:
    """Yield a study made ready, while nobody else is at work on it.

    Args:
        study: With its experiments.
        declare: Tells the benchmarks that an experiment asks for.
        progress: Told how far it is.

    Raises:
        SpecError: A source is gone through too often.
        InputError: As `ready_study`; or another process is at work on the study.
    """
    folder = study_folder(workspace_of(study), study.name)
    with sole_user(folder, "study"):
        yield ready_study(study, declare, progress)
