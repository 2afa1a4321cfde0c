"""`run`: an experiment from its spec to an entry.

    run        spec  -> ready -> session -> RunRecorder    -> entry
    reproduce  entry -> ready -> session -> ReplayRecorder -> verdict

Both train by the same code and differ in the recorder that is told of it; the other one
is in `reproduction`. With several processes all take the same way at the same time, and
process 0 alone has a recorder that writes.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.delivery import Delivery
from ledger.documents import Stored
from ledger.entry import Entry
from ledger.provenance import package_digests
from ledger.recorder import COMPLETED, NullRecorder, Outcome
from ledger.reuse import runs_with
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from runtime.beginning import Beginning, find_beginning
from runtime.devices import configure, deciding_settings
from runtime.folder_lock import sole_user
from runtime.launch import devices_of_one
from runtime.places import checkpoint_location as checkpoint_location
from runtime.places import run_folder
from runtime.processes import Processes, joined_processes
from runtime.progress import SILENT, Listeners, Warn
from runtime.ready import read_spec, ready_spec, ready_together
from runtime.scoring import Evaluator
from runtime.stopping import Stopping, stopping_on_signals
from specs.errors import CodemixError
from specs.experiment import experiment_digest
from specs.loading import load_experiment
from specs.resolve import plan_experiment
from specs.workspace import find_workspace

if TYPE_CHECKING:
    from runtime.session import Session


@dataclass(frozen=True)
class _Asked:
    """What the caller of a run wants of it."""

    ledger_uri: str | None
    stop_after: int | None
    may_reuse: bool

    def is_over(self, begin: Beginning) -> bool:
        """Whether a new run has as many steps as are asked for before its first own."""
        is_new = begin.reused is not None and begin.resumed_from is None
        return is_new and self.stop_after is not None and self.stop_after <= begin.step


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run or a replay came to."""

    stored: Stored | None
    """The entry or verdict; None if it was stopped on purpose before the end."""
    is_told_here: bool
    """Whether this process is the one that tells it."""


def run(
    spec_path: Path,
    *,
    evaluator: Evaluator,
    ledger_uri: str | None = None,
    num_devices: int | None = None,
    stop_after: int | None = None,
    may_reuse: bool = True,
    listeners: Listeners = SILENT,
) -> Ended:
    """Train, score and record the experiment of a spec.

    A run that was cut short goes on where its last checkpoint is. Stages that another
    run of the ledger has trained are taken over from it. A run that an entry has
    already is not run again: that entry is returned.

    Args:
        spec_path: The spec; pinned first if it has no lock.
        evaluator: Scores the weights.
        ledger_uri: The MLflow store to deliver to; None: see `ledger.delivery`.
        num_devices: Devices to use, of all processes together; None: as many as the
            batch has lanes for.
        stop_after: Steps done after which to stop on purpose.
        may_reuse: Whether stages may be taken over from other runs.
        listeners: Told how far it is.

    Raises:
        SpecError: The spec is wrong.
        InputError: Data, devices or disk are not as needed, or another process was
            started with something else.
        RunError: A loss or gradient is not finite.
        Diverged: A resumed run is not what was recorded: the machine changed.
        Preempted: Stopped by SIGTERM; the state is saved.
        KeyboardInterrupt: Stopped by Ctrl-C; the state is saved.
        ProcessLost: Another process is gone.
    """
    with joined_processes(listeners.tell) as processes:
        listeners = listeners.of(processes)
        experiment = load_experiment(spec_path)
        find_workspace(spec_path)  # refused here, before jax is set up
        evaluator.check(experiment)
        plan = plan_experiment(experiment)
        here = devices_of_one(plan, num_devices, processes.count)
        configure(plan.determinism, here)
        options = f"--devices {num_devices} --stop-after {stop_after} "
        options += "" if may_reuse else "--no-reuse"
        agree(processes, spec=experiment_digest(experiment), options=options)
        ready = ready_together(
            processes,
            lambda: ready_spec(
                spec_path,
                declare=evaluator.declare,
                find_overlaps=evaluator.find_overlaps,
                progress=listeners.progress,
            ),
            lambda _: read_spec(spec_path),
        )
        processes.agree({"lock": ready.lock.digest})
        from runtime.session import open_session

        session = open_session(
            ready,
            evaluator,
            processes,
            num_devices=num_devices,
            warn=listeners.warn,
        )
        asked = _Asked(ledger_uri, stop_after, may_reuse)
        stored = _run_or_find(session, asked, listeners)
        return Ended(stored=stored, is_told_here=processes.is_first)


def agree(processes: Processes, **facts: str) -> None:
    """Check that all processes run the same code on the same facts.

    Raises:
        InputError: They don't; in all of them.
    """
    if processes.count > 1:
        code = {f"code of {name}": one for name, one in package_digests().items()}
        software = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
        processes.agree({**facts, **code, **software, **deciding_settings()})


def open_ledger(workspace: Path, processes: Processes) -> Ledger:
    """Open the ledger of a workspace, in process 0 to write it."""
    if processes.is_first:
        return Ledger.open(workspace)
    return Ledger(workspace / ".codemix" / "ledger")


def _run_or_find(
    session: Session, asked: _Asked, listeners: Listeners
) -> Stored | None:
    """Return the entry that the ledger has of a run, or come to it."""
    ready, processes = session.ready, session.processes
    ledger = open_ledger(ready.workspace, processes)
    folder = run_folder(ready.workspace, session.identity)

    def find() -> str:
        found = find_run(ledger, session.identity)
        for problem in ledger.unknown.values():
            listeners.warn(f"passed over: {problem}")
        return found.digest if found is not None else ""

    with sole_user(folder) if processes.is_first else nullcontext():
        done = processes.from_first("done", find)
        if done:
            listeners.warn(f"the ledger has this run already: entry {done[:12]}")
            return Stored(done, ledger.read(done))
        delivery = Delivery(ready.workspace, folder, asked.ledger_uri)
        recorder = (
            RunRecorder(ledger, folder, delivery=delivery)
            if processes.is_first
            else None
        )
        with stopping_on_signals() as stopping:
            digest = _recorded(
                session, recorder, ledger, folder, asked, stopping, listeners
            )
    return Stored(digest, ledger.read(digest)) if digest else None


def find_run(ledger: Ledger, identity: str) -> Stored | None:
    """Return the first completed entry of a run identity; None where there is none."""
    found = None
    for stored in runs_with(ledger, [identity]):
        entry = stored.entry
        assert isinstance(entry, Entry)
        if entry.identity == identity and entry.outcome.status == "completed":
            found = stored
    return found


def _recorded(
    session: Session,
    recorder: RunRecorder | None,
    ledger: Ledger,
    folder: Path,
    asked: _Asked,
    stopping: Stopping,
    listeners: Listeners,
) -> str:
    """Train, and write an entry, however it ends; return its digest if completed."""
    processes, num_steps = session.processes, session.ready.plan.num_steps
    begin = find_beginning(
        session, ledger, folder, may_reuse=asked.may_reuse, warn=listeners.warn
    )
    if recorder is not None:
        recorder.begin(session.facts(ledger, begin.resumed_from))
    # What process 0 did takes longer than a collective operation waits.
    processes.meet("begin")
    try:
        if begin.reused is not None and recorder is not None:
            begin.reused.tell(session, recorder, listeners.warn)
        step = begin.step
        if not asked.is_over(begin):
            step = session.train(
                NullRecorder() if recorder is None else recorder,
                begin.checkpoints,
                begin.restored,
                num_reused=begin.num_reused,
                stop_after=asked.stop_after,
                is_stopping=stopping.event,
                progress=listeners.training,
            )
    except BaseException as error:
        reason = processes.explain(error)
        if recorder is not None:
            _finish_failed(recorder, reason)
        if reason is error:
            raise
        raise reason from error
    if step < num_steps:
        what = f"stopped after {step} of {num_steps} steps"
        if recorder is not None:
            recorder.finish(Outcome(status="interrupted", reason=what))
        fix = "run the same command again: it goes on from there"
        stopping.raise_reason(processes, f"{what}, and the state is saved", fix)
        return ""
    return processes.from_first("entry", lambda: _completed(recorder, listeners.warn))


def _completed(recorder: RunRecorder | None, warn: Warn) -> str:
    assert recorder is not None, "process 0 has it"
    recorder.finish(COMPLETED)
    _tell_delivery(recorder, warn)
    assert recorder.digest is not None
    return recorder.digest


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
