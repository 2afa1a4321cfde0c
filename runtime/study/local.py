"""The jobs of a study on this machine: started, watched, stopped together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ledger.journal import is_being_written
from runtime.places import run_folder
from runtime.stopping import Stopping
from runtime.study.events import Event, StudyJournal, Tell
from runtime.study.processes import (
    Child,
    JobProcess,
    Orphan,
    last_words,
    start,
)
from runtime.study.ready import ReadyStudy
from runtime.study.schedule import Schedule, State
from runtime.study.slots import Slot
from runtime.study.standing import Known, Standing, standing
from specs.errors import Preempted
from specs.study_jobs import Job

POLL_SECONDS = 0.1
STOPPED_CODES = frozenset(
    {Preempted.exit_code, 130, -int(signal.SIGINT), -int(signal.SIGTERM)}
)
"""Exit codes of a run that was asked to stop."""

Look = Callable[[], None]
"""Called again and again while jobs run."""


class LocalJobs:
    """Runs the jobs of a study, some at a time."""

    def __init__(
        self,
        study: ReadyStudy,
        known: Mapping[str, Known],
        slots: Sequence[Slot],
        program: Sequence[str],
        options: Sequence[str],
        tell: Tell,
    ) -> None:
        """Look up what the ledger has, and which jobs are still at work.

        Args:
            study: What is run.
            known: What its experiments are called in the ledger.
            slots: As many jobs run at once, each with its part of the machine.
            program: Starts codemix, in place of the first word of a command.
            options: Added to every command.
            tell: Told whenever a job stands otherwise.
        """
        self.study, self.known = study, known
        self.schedule = Schedule(study.jobs)
        self.running: dict[str, JobProcess] = {}
        self._program, self._options = program, options
        self._free = list(slots)
        self._held: dict[str, Slot] = {}
        self._journal = StudyJournal(study.folder)
        self._listener = tell
        found = self.look_up()
        self.schedule.keep(found.stages, found.runs)
        for name, job in study.jobs.items():
            if self.schedule.standings[name].state == "waiting":
                self._adopt(name, job)

    def look_up(self) -> Standing:
        """Return what the ledger has of the study now."""
        return standing(self.study.graph, self.known, self.study.workspace)

    def run(self, stopping: Stopping, look: Look) -> None:
        """Run jobs until none can go on, or all that run have stopped when asked to.

        Args:
            stopping: Set from outside; passed on to every job.
            look: Called again and again.
        """
        is_passed_on = False
        try:
            while True:
                self._reap(is_stopping=is_passed_on)
                if stopping.event.is_set() and not is_passed_on:
                    is_passed_on = True
                    self._send(_signal_of(stopping))
                if not is_passed_on:
                    self._start_ready()
                look()
                if not self.running and (is_passed_on or not self.schedule.ready()):
                    return
                time.sleep(POLL_SECONDS)
        except BaseException as error:
            # A second Ctrl-C ends them at once, as it would end a run of its own.
            is_second = isinstance(error, KeyboardInterrupt)
            if not is_second:
                # It may be the listener that is broken; jobs are waited for anyway.
                self._listener = _ignore_event
            self._send(signal.SIGINT if is_second else signal.SIGTERM)
            while self.running:
                self._reap(is_stopping=True)
                time.sleep(POLL_SECONDS)
            raise

    def _start_ready(self) -> None:
        for name in self.schedule.ready():
            job = self.study.jobs[name]
            if not self._free:
                return
            if not self._is_elsewhere(job):
                self._start(name, job)

    def _start(self, name: str, job: Job) -> None:
        command = [*self._program, *self.study.command(job)[1:], *self._options]
        log = self.study.log(job)
        try:
            child = start(command, log, self._free[0])
        except OSError as error:
            self._end(name, "failed", log, f"can't be started: {error}")
            return
        self.running[name], self._held[name] = child, self._free.pop(0)
        self.schedule.begin(name)
        self._tell(Event(name, "running", pid=child.pid, log=str(log)))

    def _adopt(self, name: str, job: Job) -> None:
        """Take a job over that an earlier call has started, and that still runs."""
        log = self.study.log(job)
        if not is_being_written(log):
            return
        pid = self._journal.last_pid(name)
        self.running[name] = Orphan(log, pid)
        if self._free:
            self._held[name] = self._free.pop(0)
        self.schedule.begin(name)
        reason = "started by an earlier call"
        self._tell(Event(name, "running", reason, pid=pid, log=str(log)))

    def _is_elsewhere(self, job: Job) -> bool:
        """Whether somebody else is at work on the run that the job belongs to."""
        folder = run_folder(self.study.workspace, self.known[job.experiment].run)
        return is_being_written(folder.with_name(f"{folder.name}.lock"))

    def _reap(self, *, is_stopping: bool) -> None:
        for name, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            if name in self._held:
                self._free.append(self._held.pop(name))
            if isinstance(process, Orphan):
                self._end_orphan(name, is_stopping=is_stopping)
                continue
            assert isinstance(process, Child)
            log = self.study.log(self.study.jobs[name])
            if code == 0:
                self._end(name, "done", log)
            elif is_stopping and code in STOPPED_CODES:
                self._end(name, "stopped", log)
            else:
                self._end(name, "failed", log, _reason(code, log, process.log_start))

    def _end_orphan(self, name: str, *, is_stopping: bool) -> None:
        """Ask the ledger what came of it: nobody knows its exit code."""
        job, found = self.study.jobs[name], self.look_up()
        is_done = (
            job.experiment in found.runs
            if job.is_whole
            else job.stages[-1] in found.stages
        )
        state: State = "done" if is_done else "stopped" if is_stopping else "waiting"
        self._end(name, state, self.study.log(job))

    def _end(self, name: str, state: State, log: Path, reason: str = "") -> None:
        blocked = self.schedule.end(name, state, reason)
        self._tell(Event(name, state, reason, log=str(log)))
        for heir in blocked:
            self._tell(Event(heir, "blocked", name))

    def _send(self, number: signal.Signals) -> None:
        for name, process in list(self.running.items()):
            if process.pid is not None:
                process.send(number)
                continue
            # Nobody knows whom to stop, and it may be at work for days.
            del self.running[name]
            reason = "still at work: its process is not known"
            self._end(name, "stopped", self.study.log(self.study.jobs[name]), reason)

    def _tell(self, event: Event) -> None:
        self._journal.add(event)
        self._listener(event)


def _signal_of(stopping: Stopping) -> signal.Signals:
    is_preempted = stopping.reason == "preempted"
    return signal.SIGTERM if is_preempted else signal.SIGINT


def _reason(code: int, log: Path, log_start: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return last_words(log, log_start) or f"exit code {code}"


def _ignore_event(_: Event) -> None:
    """Tell nobody."""
