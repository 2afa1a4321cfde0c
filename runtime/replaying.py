"""What a replay and an audit have in common: opening an entry, and the verdict."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.documents import Stored, run_of
from ledger.entry import Entry
from ledger.recorder import (
    COMPLETED,
    Diverged,
    NullRecorder,
    Outcome,
    Recorder,
    RunFacts,
)
from ledger.replay import ReplayRecorder
from ledger.store import Ledger
from runtime.devices import configure
from runtime.experiment import agree, open_ledger
from runtime.folder_lock import sole_user
from runtime.launch import devices_of_one
from runtime.processes import Processes, joined_processes
from runtime.progress import Listener, Listeners, Warn
from runtime.ready import Ready, read_entry, ready_entry, ready_together
from runtime.scoring import Evaluator
from runtime.stopping import Stopping, stopping_on_signals
from specs.errors import InputError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.resolve import plan_experiment

if TYPE_CHECKING:
    from runtime.checkpoint import CheckpointFolder
    from runtime.session import Session

SHOWN_DIFFERENCES = 5


@dataclass(frozen=True, kw_only=True)
class Replaying:
    """An entry that is being replayed."""

    original: Stored
    entry: Entry
    ledger: Ledger
    recorder: ReplayRecorder
    session: Session
    listeners: Listeners

    @property
    def told(self) -> Recorder:
        """What training reports to in this process."""
        return self.recorder if self.session.processes.is_first else NullRecorder()

    def concluded(self, train: Callable[[CheckpointFolder, Stopping], None]) -> Stored:
        """Train and compare, in process 0; return the verdict.

        Args:
            train: Trains with a folder for checkpoints that is deleted afterwards.
        """
        from runtime.checkpoint import CheckpointFolder

        ready, processes = self.session.ready, self.session.processes
        digest = self.original.digest
        name = processes.from_first("replay", lambda: f"{digest[:16]}-{_unique()}")
        folder = ready.workspace / ".codemix" / "replays" / name
        policy = ready.experiment.checkpoints
        outcome = COMPLETED
        with _own_folder(folder) if processes.is_first else nullcontext():
            checkpoints = CheckpointFolder(
                folder / "checkpoints", ready.plan.model, processes, policy
            )
            self._begin()
            try:
                with stopping_on_signals() as stopping:
                    train(checkpoints, stopping)
            except Diverged as found:
                outcome = Outcome(status="failed", reason=found.problems[0].what)
                self._explain()
                # The others do not compare, and go on.
                processes.dismiss(found)
        verdict = processes.from_first("verdict", lambda: self._finished(outcome))
        return Stored(verdict, self.ledger.read(verdict))

    def _begin(self) -> None:
        processes = self.session.processes
        if processes.is_first:
            facts = self.session.facts(self.ledger, None)
            _tell_differences(self.recorder, facts, self.listeners.warn)
            self.recorder.begin(facts)
        processes.meet("begin")

    def _explain(self) -> None:
        from runtime.batch_difference import explain_batch

        found = self.recorder.stopped
        if found is not None and found.channel == "batch":
            was, now = str(found.was), str(found.now)
            step_of = self.recorder.step_of_batch
            for told in explain_batch(
                self.session.ready, found.step, was, now, step_of
            ):
                self.recorder.note(told)

    def _finished(self, outcome: Outcome) -> str:
        self.recorder.finish(outcome)
        assert self.recorder.digest is not None
        return self.recorder.digest


@contextmanager
def replaying(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    num_devices: int | None,
    listeners: Listeners,
    tolerance: float | None = None,
    is_consistent: bool = False,
) -> Iterator[Replaying]:
    """Join the other processes, find the entry, and bring its data and devices here.

    Raises:
        CheckFailed: The entry was changed since it was recorded.
        InputError: There is no such entry, or its data is not here.
        ProcessLost: Another process is gone.
    """
    with joined_processes(listeners.tell) as processes:
        listeners = listeners.of(processes)
        ledger = open_ledger(workspace, processes)
        original = ledger.find(text)
        recorder = ReplayRecorder(
            original, ledger, tolerance=tolerance, is_consistent=is_consistent
        )
        entry = run_of(original)
        experiment = Experiment.model_validate(entry.spec)
        evaluator.check(experiment)
        plan = plan_experiment(experiment)
        here = devices_of_one(plan, num_devices, processes.count)
        isa = entry.devices.get("cpu_isa")
        configure(plan.determinism, here, isa if isinstance(isa, str) else None)
        agree(processes, entry=original.digest, devices=str(num_devices))
        ready = _ready(
            entry, ledger, workspace, processes, evaluator, listeners.progress
        )
        from runtime.session import open_session

        session = open_session(
            ready,
            evaluator,
            processes,
            num_devices=num_devices,
            warn=listeners.warn,
        )
        yield Replaying(
            original=original,
            entry=entry,
            ledger=ledger,
            recorder=recorder,
            session=session,
            listeners=listeners,
        )


def _ready(
    entry: Entry,
    ledger: Ledger,
    workspace: Path,
    processes: Processes,
    evaluator: Evaluator,
    progress: Listener,
) -> Ready:
    def read(lock: str) -> Ready:
        return read_entry(entry, ledger, workspace, Lock.model_validate_json(lock))

    return ready_together(
        processes,
        lambda: ready_entry(
            entry,
            ledger,
            workspace,
            progress=progress,
            find_overlaps=evaluator.find_overlaps,
        ),
        read,
    )


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this replay; delete it at the end, and those of killed ones."""
    for lock in folder.parent.glob("*.lock"):
        left = lock.with_suffix("")
        with suppress(InputError), sole_user(left):
            shutil.rmtree(left, ignore_errors=True)
            lock.unlink(missing_ok=True)
    with sole_user(folder):
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)


def _tell_differences(recorder: ReplayRecorder, facts: RunFacts, warn: Warn) -> None:
    """Say what is not as it was and what to hope for, before hours are spent."""
    differences = recorder.differences(facts)
    told = [one for one in differences if one.rank != "incidental"]
    for difference in told[:SHOWN_DIFFERENCES]:
        warn(f"differs from the original: {difference}")
    if len(told) > SHOWN_DIFFERENCES:
        warn(f"and {len(told) - SHOWN_DIFFERENCES} more; the verdict lists them all")
    best = recorder.attainable(facts)
    warn(f"best grade to hope for: {best.grade} ({best.why})")


def _unique() -> str:
    return uuid.uuid4().hex[:8]
