"""The jobs of a study in the queue of a Slurm cluster, which decides when each runs.

    .codemix/studies/NAME/slurm.json    job -> its number there, and what was asked
    .codemix/studies/NAME/slurm/        what submitit writes: scripts and logs

Each call submits what neither the ledger nor the queue has, each job after those that
it waits for (`afterok`), and tells how all stand. A job carries a digest of what is
asked, so one that was submitted by a call that was killed is found in the queue; and
one of the options, as what waits with others is submitted anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from runtime.study.ready import ReadyStudy
from runtime.study.schedule import Schedule
from runtime.study.slurm_options import SlurmOptions
from runtime.study.slurm_queue import Queued, accounted, cancel, queue
from runtime.study.slurm_submit import Submitter, log_of
from runtime.study.standing import identify_here, standing
from specs.atomic import write_atomically
from specs.canonical import digest_of
from specs.study_jobs import Job

_OPTIONS_DIGITS = 32
"""Of a digest."""
_BETWEEN = "."
"""In a comment: what is asked, and with which options."""


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
    submitter: Submitter,
    program: Sequence[str],
    extra: Sequence[str] = (),
) -> tuple[list[Row], dict[str, str]]:
    """Submit what is neither over nor in the queue.

    Args:
        study: What is run; nobody else is at work on it.
        submitter: Has the options of the cluster.
        program: Starts codemix, in place of the first word of a command.
        extra: Added to every `codemix run`.

    Returns:
        A row per job; and name -> entry, of the experiments that are completed.

    Raises:
        InputError: Slurm does not answer, or refuses a job.
    """
    known = identify_here(list(study.graph.members.values()), study.locks)
    found = standing(study.graph, known, study.workspace)
    schedule = Schedule(study.jobs)
    schedule.keep(found.stages, found.runs)
    call = _Call(study, submitter, _options_digest(submitter.options, extra))
    for name, job in study.jobs.items():
        command = [*program, *study.command(job)[1:], *extra]
        is_kept = schedule.standings[name].is_kept
        call.rows[name] = call.look_at(name, job, command, is_kept=is_kept)
    return list(call.rows.values()), found.runs


class _Call:
    """One look at the queue, and what is submitted after it."""

    def __init__(self, study: ReadyStudy, submitter: Submitter, options: str) -> None:
        self.rows: dict[str, Row] = {}
        """Of the jobs that were looked at, parents first."""
        self._study, self._submitter, self._options = study, submitter, options
        self._folder = study.folder / "slurm"
        self._place = str(study.workspace.resolve())
        self._records, self._jobs = _read(study), queue()
        self._ended = _ended(study, self._records, self._jobs)
        self._active = {_asked(one): one for one in self._jobs if not one.is_over}

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
        if mine is not None and mine.state == "PENDING" and self._is_stale(mine, job):
            cancel(mine.id)
            mine = None
        if mine is not None:
            state, id = "queued" if mine.state == "PENDING" else "running", mine.id
            before = None
        else:
            self._withdraw(record, asked)
            after = [one.slurm_id for one in self._parents(job) if one.slurm_id]
            called = _name(self._study, name)
            comment = f"{asked}{_BETWEEN}{self._options}"
            id = self._submitter.submit(called, command, comment, after, self._folder)
            state = "submitted"
        self._records[name] = _Known(id, asked)
        _write(self._study, self._records)
        return Row(name, state, id, before, str(log_of(self._folder, id)))

    def _parents(self, job: Job) -> list[Row]:
        """Return those that a job has to wait for."""
        rows = [self.rows[parent] for parent in job.parents]
        return [row for row in rows if row.state != "done"]

    def _is_stale(self, mine: Queued, job: Job) -> bool:
        """Whether what waits has other options, or waits for one that has failed."""
        # One of before there were digests of options has none.
        options = mine.comment.partition(_BETWEEN)[2]
        is_anew = any(row.state == "submitted" for row in self._parents(job))
        return options != self._options or is_anew

    def _withdraw(self, record: _Known | None, asked: str) -> None:
        """Take out of the queue what was asked before the study was changed."""
        if record is None or record.asked == asked:
            return
        for one in self._jobs:
            if (one.id, _asked(one), one.state) == (*record, "PENDING"):
                cancel(one.id)


def _ended(
    study: ReadyStudy, records: Mapping[str, _Known], jobs: Sequence[Queued]
) -> dict[str, str]:
    """Return how jobs have ended, by what was asked."""
    names = {one.id: _name(study, name) for name, one in records.items()}
    states = accounted(names)
    found = {one.asked: states[one.id] for one in records.values() if one.id in states}
    return found | {_asked(one): one.state for one in jobs if one.is_over}


def _asked(one: Queued) -> str:
    """Return the digest of what was asked of a job."""
    return one.comment.partition(_BETWEEN)[0]


def _options_digest(options: SlurmOptions, extra: Sequence[str]) -> str:
    """Digest of how a job is run, which does not determine what it comes to."""
    said = [options.minutes, dict(options.parameters), list(extra)]
    return digest_of(said)[:_OPTIONS_DIGITS]


def _name(study: ReadyStudy, job: str) -> str:
    """Return what a job is called in the queue."""
    return f"{study.name}/{job}"


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
