"""`reproduce`: a ledger entry rebuilt and compared, step by step; see `experiment`."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.documents import Stored, run_of
from ledger.entry import Entry
from ledger.recorder import COMPLETED, Diverged, NullRecorder, Outcome, RunFacts
from ledger.replay import ReplayRecorder
from ledger.store import Ledger
from runtime.devices import configure
from runtime.experiment import Ended, agree, open_ledger
from runtime.launch import devices_of_one
from runtime.processes import Processes, joined_processes
from runtime.progress import SILENT, Listener, Listeners, Warn
from runtime.ready import Ready, read_entry, ready_entry, ready_together
from runtime.scoring import Evaluator
from runtime.stopping import stopping_on_signals
from specs.experiment import Experiment
from specs.lock import Lock
from specs.resolve import plan_experiment

if TYPE_CHECKING:
    from runtime.session import Session

SHOWN_DIFFERENCES = 5


def reproduce(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    num_devices: int | None = None,
    listeners: Listeners = SILENT,
) -> Ended:
    """Rebuild a ledger entry from its pinned data and compare, step by step.

    Nothing of the original's checkpoints and token stores is needed, and none of its
    checkpoints is read. Training stops at the first difference.

    Args:
        text: Beginning of the entry's digest, or its unique name.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        num_devices: Devices to use; the number may differ from the original's.
        listeners: Told how far it is, and what differs from the original before the
            first step.

    Returns:
        The verdict, which the ledger holds now.

    Raises:
        CheckFailed: The entry was changed since it was recorded.
        InputError: There is no such entry, or its data is not here.
        Preempted: Stopped by SIGTERM.
        KeyboardInterrupt: Stopped by Ctrl-C.
        ProcessLost: Another process is gone.
    """
    with joined_processes(listeners.tell) as processes:
        listeners = listeners.of(processes)
        ledger = open_ledger(workspace, processes)
        original = ledger.find(text)
        recorder = ReplayRecorder(original, ledger)
        entry = run_of(original)
        experiment = Experiment.model_validate(entry.spec)
        evaluator.check(experiment)
        plan = plan_experiment(experiment)
        here = devices_of_one(plan, num_devices, processes.count)
        isa = entry.devices.get("cpu_isa")
        configure(plan.determinism, here, isa if isinstance(isa, str) else None)
        agree(processes, entry=original.digest, devices=str(num_devices))
        ready = _ready(entry, ledger, workspace, processes, listeners.progress)
        from runtime.session import open_session

        session = open_session(
            ready,
            evaluator,
            processes,
            num_devices=num_devices,
            warn=listeners.warn,
        )
        digest = _replay(session, recorder, ledger, original.digest, listeners)
        verdict = Stored(digest, ledger.read(digest))
        return Ended(stored=verdict, is_told_here=processes.is_first)


def _ready(
    entry: Entry,
    ledger: Ledger,
    workspace: Path,
    processes: Processes,
    progress: Listener,
) -> Ready:
    def read(lock: str) -> Ready:
        return read_entry(entry, ledger, workspace, Lock.model_validate_json(lock))

    return ready_together(
        processes,
        lambda: ready_entry(entry, ledger, workspace, progress=progress),
        read,
    )


def _replay(
    session: Session,
    recorder: ReplayRecorder,
    ledger: Ledger,
    original: str,
    listeners: Listeners,
) -> str:
    """Train and compare, in process 0; return the digest of the verdict."""
    from runtime.checkpoint import CheckpointFolder

    ready, processes = session.ready, session.processes
    name = processes.from_first("replay", lambda: f"{original[:16]}-{_unique()}")
    folder = ready.workspace / ".codemix" / "replays" / name
    checkpoints = CheckpointFolder(
        folder / "checkpoints",
        ready.plan.model,
        processes,
        ready.experiment.checkpoints,
    )
    if processes.is_first:
        facts = session.facts(ledger, None)
        _tell_differences(recorder, facts, listeners.warn)
        recorder.begin(facts)
    processes.meet("begin")
    outcome = COMPLETED
    try:
        with stopping_on_signals() as stopping:
            step = session.train(
                recorder if processes.is_first else NullRecorder(),
                checkpoints,
                None,
                stop_after=None,
                is_stopping=stopping.event,
                progress=listeners.training,
            )
        if step < ready.plan.num_steps:
            what = f"stopped after {step:,} steps, of which nothing is kept"
            stopping.raise_reason(processes, what, "run the same command again")
    except Diverged as found:
        outcome = Outcome(status="failed", reason=found.problems[0].what)
        # The others do not compare, and go on.
        processes.dismiss(found)
    finally:
        if processes.is_first:
            shutil.rmtree(folder, ignore_errors=True)

    def finish() -> str:
        recorder.finish(outcome)
        assert recorder.digest is not None
        return recorder.digest

    return processes.from_first("verdict", finish)


def _tell_differences(recorder: ReplayRecorder, facts: RunFacts, warn: Warn) -> None:
    """Say what is not as it was, first suspect first, before hours are spent."""
    differences = recorder.differences(facts)
    told = [one for one in differences if one.rank != "incidental"]
    for difference in told[:SHOWN_DIFFERENCES]:
        warn(f"differs from the original: {difference}")
    if len(told) > SHOWN_DIFFERENCES:
        warn(f"and {len(told) - SHOWN_DIFFERENCES} more; the verdict lists them all")


def _unique() -> str:
    return uuid.uuid4().hex[:8]
