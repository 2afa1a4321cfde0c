"""The jobs of a study in the queue of a Slurm cluster, which decides when each runs.

    .codemix/studies/NAME/slurm.json    job -> its number there, and what was asked
    .codemix/studies/NAME/slurm/        what submitit writes: scripts and logs

Each call submits what neither the ledger nor the queue has, each job after those that
it waits for (`afterok`), and tells how all stand. A job carries a digest of what is
asked, so one that was submitted by a call that was killed is found in the queue.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runtime.study.processes import python_path
from runtime.study.ready import ReadyStudy
from runtime.study.schedule import Schedule
from runtime.study.slurm_job import RunJob
from runtime.study.slurm_queue import Queued, accounted, cancel, queue
from runtime.study.standing import identify, standing
from specs.atomic import write_atomically
from specs.errors import InputError
from specs.study_jobs import Job

_MANY = 10**6
"""Times that a job may come to its limit and go on; each one takes it further."""

_LEAST_MINUTES = 4
"""Slurm may give notice 150 s before the end; a shorter job would never get further."""

_START = "runtime.study.slurm_start"
"""Starts submitit there; without `site`, so that there are few moments before it."""


class Row(NamedTuple):
    """How a job stands."""

    job: str
    state: str
    """`done`, or `running`, `queued`; `submitted` by this call."""
    slurm_id: str | None
    before: str | None
    """How it ended the last time, in Slurm's words, where that was not well."""
    log: str | None


class _Known(NamedTuple):
    id: str
    asked: str


def submit_study(
    study: ReadyStudy,
    program: Sequence[str],
    parameters: Mapping[str, str],
    options: Sequence[str] = (),
) -> tuple[list[Row], dict[str, str]]:
    """Submit what is neither over nor in the queue.

    Args:
        study: What is run; nobody else is at work on it.
        program: Starts codemix, in place of the first word of a command.
        parameters: sbatch's long options without dashes -> value; `time` in minutes.
        options: Added to every `codemix run`.

    Returns:
        A row per job; and name -> entry, of the experiments that are completed.

    Raises:
        InputError: Slurm or submitit is not installed, or refuses a job.
    """
    submitter = _Submitter(study, parameters)
    known = identify(list(study.graph.members.values()), study.locks)
    found = standing(study.graph, known, study.workspace)
    schedule = Schedule(study.jobs)
    schedule.keep(found.stages, found.runs)
    call = _Call(study, submitter)
    for name, job in study.jobs.items():
        command = [*program, *study.command(job)[1:], *options]
        is_kept = schedule.standings[name].is_kept
        call.rows[name] = call.look_at(name, job, command, is_kept=is_kept)
    return list(call.rows.values()), found.runs


class _Call:
    """One look at the queue, and what is submitted after it."""

    def __init__(self, study: ReadyStudy, submitter: _Submitter) -> None:
        self.rows: dict[str, Row] = {}
        """Of the jobs that were looked at, parents first."""
        self._study, self._submitter = study, submitter
        self._place = str(study.workspace.resolve())
        self._records, self._jobs = _read(study), queue()
        self._ended = _ended(study, self._records, self._jobs)
        self._active = {one.comment: one for one in self._jobs if not one.is_over}

    def look_at(
        self, name: str, job: Job, command: Sequence[str], *, is_kept: bool
    ) -> Row:
        """Tell how a job stands; submit it if it neither is over nor in the queue."""
        asked = self._study.asked(job, self._place, self._study.command(job))
        before = self._ended.get(asked)
        record = self._records.get(name)
        if is_kept or before == "COMPLETED":
            return Row(name, "done", record.id if record else None, None, None)
        mine = self._active.get(asked)
        if mine is not None and mine.state == "PENDING" and self._is_anew(job):
            cancel(mine.id)  # It waits for one that has failed.
            mine = None
        if mine is not None:
            state, id = "queued" if mine.state == "PENDING" else "running", mine.id
            before = None
        else:
            self._withdraw(record, asked)
            after = [one.slurm_id for one in self._parents(job) if one.slurm_id]
            called = _name(self._study, name)
            state, id = (
                "submitted",
                self._submitter.submit(called, command, asked, after),
            )
        self._records[name] = _Known(id, asked)
        _write(self._study, self._records)
        return Row(name, state, id, before, self._submitter.log(id))

    def _parents(self, job: Job) -> list[Row]:
        """Return those that a job has to wait for."""
        rows = [self.rows[parent] for parent in job.parents]
        return [row for row in rows if row.state != "done"]

    def _is_anew(self, job: Job) -> bool:
        """Whether one that it waits for was submitted again."""
        return any(row.state == "submitted" for row in self._parents(job))

    def _withdraw(self, record: _Known | None, asked: str) -> None:
        """Take out of the queue what was asked before the study was changed."""
        if record is None or record.asked == asked:
            return
        for one in self._jobs:
            if (one.id, one.comment, one.state) == (*record, "PENDING"):
                cancel(one.id)


def _ended(
    study: ReadyStudy, records: Mapping[str, _Known], jobs: Sequence[Queued]
) -> dict[str, str]:
    """Return how jobs have ended, by what was asked."""
    names = {one.id: _name(study, name) for name, one in records.items()}
    states = accounted(names)
    found = {one.asked: states[one.id] for one in records.values() if one.id in states}
    return found | {one.comment: one.state for one in jobs if one.is_over}


def _name(study: ReadyStudy, job: str) -> str:
    """Return what a job is called in the queue."""
    return f"{study.name}/{job}"


class _Submitter:
    """Hands jobs to Slurm, through submitit."""

    def __init__(self, study: ReadyStudy, parameters: Mapping[str, str]) -> None:
        try:
            import submitit
        except ImportError:
            fix = "install it: pip install 'codemix[slurm]'"
            raise InputError("submitit is not installed", fix=fix) from None
        self._folder = study.folder / "slurm"
        self._parameters = {
            name.replace("-", "_"): value for name, value in parameters.items()
        }
        minutes = self._parameters.pop("time", "")
        if not minutes.isdecimal() or int(minutes) < _LEAST_MINUTES:
            raise InputError(
                f"a job needs a limit in whole minutes, {_LEAST_MINUTES} or more, "
                f"got {minutes!r}",
                path="--slurm-option time",
                fix="say --slurm-option time=MINUTES; a job that comes to it goes on",
            )
        try:
            self._executor = submitit.SlurmExecutor(
                folder=self._folder,
                max_num_timeout=_MANY,
                # A workspace may hold folders of the same names as our packages.
                python=f"{shlex.quote(sys.executable)} -P -S -m {_START} -P",
            )
        except RuntimeError:
            fix = "run it where jobs are submitted: on a login node of the cluster"
            raise InputError("Slurm is not installed here", fix=fix) from None
        self._minutes = int(minutes)

    def submit(
        self, name: str, command: Sequence[str], asked: str, after: Sequence[str]
    ) -> str:
        """Submit a command; return Slurm's number of it."""
        from submitit.core.utils import FailedJobError

        # A cluster may have it that jobs don't go back into the queue.
        extra: dict[str, Any] = {"requeue": True, **self._parameters}
        if after:
            extra["dependency"] = "afterok:" + ":".join(after)
            extra["kill_on_invalid_dep"] = "yes"
        self._executor.update_parameters(
            job_name=name,
            time=self._minutes,
            comment=asked,
            stderr_to_stdout=True,
            # A job that comes back adds to its log.
            srun_args=["--open-mode=append"],
            setup=[f"export PYTHONPATH={shlex.quote(python_path())}"],
            additional_parameters=extra,
        )
        try:
            return str(self._executor.submit(RunJob(command)).job_id)
        except FailedJobError as error:
            told = str(error).strip().splitlines()
            what = f"Slurm refuses {name}: {told[-1] if told else 'no reason given'}"
            fix = "correct --slurm-option; its names are sbatch's long options"
            raise InputError(what, fix=fix) from None

    def log(self, id: str) -> str:
        """Return the file that the first task's output goes to."""
        return str(self._folder / f"{id}_0_log.out")


def _read(study: ReadyStudy) -> dict[str, _Known]:
    path = _records(study)
    if not path.exists():
        return {}
    jobs = json.loads(path.read_text("utf-8"))["jobs"]
    return {name: _Known(one["id"], one["asked"]) for name, one in jobs.items()}


def _write(study: ReadyStudy, records: Mapping[str, _Known]) -> None:
    jobs = {name: one._asdict() for name, one in records.items()}
    text = json.dumps({"jobs": jobs}, indent=1, sort_keys=True)
    write_atomically(_records(study), f"{text}\n".encode())


def _records(study: ReadyStudy) -> Path:
    return study.folder / "slurm.json"
