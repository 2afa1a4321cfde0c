"""`run` and `reproduce`: an experiment from its spec to an entry, and back.

    run        spec  -> ready -> session -> RunRecorder    -> entry
    reproduce  entry -> ready -> session -> ReplayRecorder -> verdict

Both train by the same code and differ in the recorder that is told of it.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.delivery import Delivery
from ledger.entry import Entry
from ledger.history import num_recorded_steps
from ledger.recorder import COMPLETED, Diverged, Outcome, RunFacts
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger, Stored
from runtime.devices import configure
from runtime.folder_lock import sole_user
from runtime.progress import (
    Listener,
    TrainingListener,
    ignore_progress,
    ignore_training,
)
from runtime.ready import ready_entry, ready_spec
from runtime.scoring import Evaluator
from runtime.stopping import stopping_on_signals
from specs.errors import CodemixError
from specs.loading import load_experiment

if TYPE_CHECKING:
    from runtime.checkpoint import CheckpointFolder, Restored
    from runtime.session import Session

Warn = Callable[[str], None]
"""Told in one line of something that the user should know."""

SHOWN_DIFFERENCES = 5


def run_folder(workspace: Path, identity: str) -> Path:
    """Return the folder of a run: its journal and its checkpoints."""
    return workspace / ".codemix" / "runs" / identity[:16]


def run(
    spec_path: Path,
    *,
    evaluator: Evaluator,
    ledger_uri: str | None = None,
    num_devices: int | None = None,
    stop_after: int | None = None,
    progress: Listener = ignore_progress,
    training: TrainingListener = ignore_training,
    warn: Warn = lambda _: None,
) -> Stored | None:
    """Train, score and record the experiment of a spec.

    A run that was cut short goes on where its last checkpoint is. One that an entry
    has already is not run again: that entry is returned.

    Args:
        spec_path: The spec; pinned first if it has no lock.
        evaluator: Scores the weights.
        ledger_uri: The MLflow store to deliver to; None: see `ledger.delivery`.
        num_devices: Devices to use; None: as many as the batch has lanes for.
        stop_after: Steps done after which to stop on purpose.
        progress: Told how far pinning and preparing are.
        training: Told how far training is.
        warn: Told what went wrong without stopping the run.

    Returns:
        The entry; None if it was stopped on purpose before the end.

    Raises:
        SpecError: The spec is wrong.
        InputError: Data, devices or disk are not as needed.
        RunError: A loss or gradient is not finite.
        Diverged: A resumed run is not what was recorded: the machine changed.
        KeyboardInterrupt: Stopped by a signal; the state is saved.
    """
    evaluator.check(load_experiment(spec_path))
    ready = ready_spec(spec_path, progress=progress)
    configure(ready.plan.determinism, num_devices)
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    ledger = Ledger.open(ready.workspace)
    folder = run_folder(ready.workspace, session.identity)
    with sole_user(folder):
        done = find_run(ledger, session.identity)
        if done is not None:
            warn(f"the ledger has this run already: entry {done.digest[:12]}")
            return done
        recorder = RunRecorder(
            ledger, folder, delivery=Delivery(ready.workspace, folder, ledger_uri)
        )
        with stopping_on_signals() as is_stopping:
            return _recorded(
                session,
                recorder,
                ledger,
                folder,
                stop_after=stop_after,
                is_stopping=is_stopping,
                training=training,
                warn=warn,
            )


def find_run(ledger: Ledger, identity: str) -> Stored | None:
    """Return the completed entry of a run identity; None where there is none."""
    for stored in ledger.entries():
        entry = stored.entry
        if (
            isinstance(entry, Entry)
            and entry.identity == identity
            and entry.outcome.status == "completed"
        ):
            return stored
    return None


def reproduce(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    num_devices: int | None = None,
    progress: Listener = ignore_progress,
    training: TrainingListener = ignore_training,
    warn: Warn = lambda _: None,
) -> Stored:
    """Rebuild a ledger entry from its pinned data and compare, step by step.

    Nothing of the original's checkpoints and token stores is needed, and none of its
    checkpoints is read. Training stops at the first difference.

    Args:
        text: Beginning of the entry's digest, or its unique name.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        num_devices: Devices to use; the number may differ from the original's.
        progress: Told how far preparing is.
        training: Told how far training is.
        warn: Told what differs from the original before the first step.

    Returns:
        The verdict, which the ledger holds now.

    Raises:
        CheckFailed: The entry was changed since it was recorded.
        InputError: There is no such entry, or its data is not here.
    """
    ledger = Ledger.open(workspace)
    stored = ledger.find(text)
    recorder = ReplayRecorder(stored, ledger)
    entry = stored.entry
    assert isinstance(entry, Entry), "ReplayRecorder refuses what is not a run"
    ready = ready_entry(entry, ledger, workspace, progress=progress)
    evaluator.check(ready.experiment)
    isa = entry.devices.get("cpu_isa")
    configure(entry.determinism, num_devices, isa if isinstance(isa, str) else None)
    from runtime.checkpoint import CheckpointFolder
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    facts = session.facts(ledger, None)
    _tell_differences(recorder, facts, warn)
    folder = workspace / ".codemix" / "replays" / f"{stored.digest[:16]}-{_unique()}"
    checkpoints = CheckpointFolder(folder / "checkpoints", ready.plan.model)
    recorder.begin(facts)
    outcome = COMPLETED
    try:
        with stopping_on_signals() as is_stopping:
            step = session.train(
                recorder,
                checkpoints,
                None,
                stop_after=None,
                is_stopping=is_stopping,
                progress=training,
            )
        if step < ready.plan.num_steps:
            raise KeyboardInterrupt
    except Diverged as found:
        outcome = Outcome(status="failed", reason=found.problems[0].what)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    recorder.finish(outcome)
    assert recorder.digest is not None
    return Stored(recorder.digest, ledger.read(recorder.digest))


def _recorded(
    session: Session,
    recorder: RunRecorder,
    ledger: Ledger,
    folder: Path,
    *,
    stop_after: int | None,
    is_stopping: threading.Event,
    training: TrainingListener,
    warn: Warn,
) -> Stored | None:
    """Train with a recorder that writes an entry, however it ends."""
    checkpoints, restored = _restored(session, folder, warn)
    resumed_from = restored.manifest.step if restored is not None else None
    recorder.begin(session.facts(ledger, resumed_from))
    num_steps = session.ready.plan.num_steps
    try:
        step = session.train(
            recorder,
            checkpoints,
            restored,
            stop_after=stop_after,
            is_stopping=is_stopping,
            progress=training,
        )
    except BaseException as error:
        _finish_failed(recorder, error)
        raise
    if step < num_steps:
        what = f"stopped after {step} of {num_steps} steps"
        recorder.finish(Outcome(status="interrupted", reason=what))
        if is_stopping.is_set():
            raise KeyboardInterrupt
        return None
    recorder.finish(COMPLETED)
    _tell_delivery(recorder, warn)
    assert recorder.digest is not None
    return Stored(recorder.digest, ledger.read(recorder.digest))


def _restored(
    session: Session, folder: Path, warn: Warn
) -> tuple[CheckpointFolder, Restored | None]:
    from runtime.checkpoint import CheckpointFolder

    path = folder / "checkpoints"
    checkpoints = CheckpointFolder(path, session.ready.plan.model)
    restored = checkpoints.restore_latest(
        session.mesh, "sharded", at_most=num_recorded_steps(folder), warn=warn
    )
    if restored is not None:
        warn(f"going on after step {restored.manifest.step:,}")
    return checkpoints, restored


def _finish_failed(recorder: RunRecorder, error: BaseException) -> None:
    """Seal what there is; what went wrong is more important than a second error."""
    if isinstance(error, CodemixError):
        outcome = Outcome(status="failed", reason=error.problems[0].what)
    elif isinstance(error, KeyboardInterrupt):
        outcome = Outcome(status="interrupted", reason="interrupted")
    else:
        outcome = Outcome(status="failed", reason=f"{type(error).__name__}: {error}")
    with suppress(CodemixError, OSError):
        recorder.finish(outcome)


def _tell_delivery(recorder: RunRecorder, warn: Warn) -> None:
    report = recorder.delivered
    if report is not None and report.waiting:
        warn(
            f"MLflow at {report.uri} has not got {report.waiting} records yet "
            f"({report.problem or 'it is slow'}); `codemix ledger sync` delivers them"
        )


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
