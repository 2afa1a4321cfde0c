"""`reproduce`: a ledger entry rebuilt and compared, step by step; see `experiment`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.audit import AuditFacts, Window, plan_audit
from runtime.experiment import Ended
from runtime.progress import SILENT, Listeners
from runtime.replaying import Replaying, replaying
from runtime.scoring import Evaluator
from runtime.stopping import Stopping
from specs.errors import InputError

if TYPE_CHECKING:
    from runtime.checkpoint import CheckpointFolder, Restored
    from runtime.kept import KeptCheckpoints


def reproduce(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    tolerance: float | None = None,
    is_consistent: bool = False,
    num_devices: int | None = None,
    listeners: Listeners = SILENT,
) -> Ended:
    """Rebuild a ledger entry from its pinned data and compare, step by step.

    Nothing of the original's checkpoints and token stores is needed, and none of its
    checkpoints is read. Training stops at the first difference, unless there is a
    tolerance or the band of seeds to hold it against.

    Args:
        text: Beginning of the entry's digest, or its unique name.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        tolerance: Relative distance that every metric and score may have.
        is_consistent: Whether the final numbers may lie in the band of seeds instead.
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
    with replaying(
        text,
        workspace=workspace,
        evaluator=evaluator,
        num_devices=num_devices,
        listeners=listeners,
        tolerance=tolerance,
        is_consistent=is_consistent,
    ) as replay:

        def train(checkpoints: CheckpointFolder, stopping: Stopping) -> None:
            num_steps = replay.session.ready.plan.num_steps
            _train(replay, checkpoints, stopping, None, num_steps)

        verdict = replay.concluded(train)
        is_told_here = replay.session.processes.is_first
        return Ended(stored=verdict, is_told_here=is_told_here)


def audit(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    num_windows: int,
    most_steps: int,
    seed: str | None = None,
    num_devices: int | None = None,
    listeners: Listeners = SILENT,
) -> Ended:
    """Replay a few windows of a run from its checkpoints, chosen by a seed.

    Args:
        text: Beginning of the entry's digest, or its unique name.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        num_windows: Windows to replay, if so many are possible.
        most_steps: Steps of one window; it ends at the next recorded checkpoint.
        seed: Of the choice; default: a fresh one, which the verdict names.
        num_devices: Devices to use.
        listeners: Told how far it is.

    Raises:
        CheckFailed: The entry was changed since it was recorded.
        InputError: There is no such entry, its data is not here, or it claims no bits.
        Preempted: Stopped by SIGTERM.
        KeyboardInterrupt: Stopped by Ctrl-C.
        ProcessLost: Another process is gone.
    """
    with replaying(
        text,
        workspace=workspace,
        evaluator=evaluator,
        num_devices=num_devices,
        listeners=listeners,
    ) as replay:
        if replay.entry.determinism == "fast":
            raise InputError(
                "the run claims `determinism: fast`, so no bits of it can be audited",
                fix="codemix reproduce ENTRY --tolerance",
            )
        from runtime.kept import KeptCheckpoints

        processes, ready = replay.session.processes, replay.session.ready
        source = KeptCheckpoints(
            replay.entry, ready.plan.model, replay.ledger, ready.workspace, processes
        )
        chosen = processes.from_first(
            "windows",
            lambda: _choice(
                replay, source, num_windows, most_steps, seed
            ).model_dump_json(),
        )
        facts = AuditFacts.model_validate_json(chosen)
        replay.recorder.chosen(facts)

        def train(checkpoints: CheckpointFolder, stopping: Stopping) -> None:
            for window in facts.windows:
                restored = None
                if window.start_step:
                    restored = _restored(replay, source, window)
                    if restored is None:
                        return
                stop_step = window.stop_step
                _train(replay, checkpoints, stopping, restored, stop_step)

        verdict = replay.concluded(train)
        return Ended(stored=verdict, is_told_here=processes.is_first)


def _train(
    replay: Replaying,
    checkpoints: CheckpointFolder,
    stopping: Stopping,
    restored: Restored | None,
    stop_step: int,
) -> None:
    """Train up to a step, or raise what stopped it before."""
    session = replay.session
    step = session.train(
        replay.told,
        checkpoints,
        restored,
        stop_after=stop_step if stop_step < session.ready.plan.num_steps else None,
        is_stopping=stopping.event,
        progress=replay.listeners.training,
    )
    if step < stop_step:
        what = f"stopped after {step:,} steps, of which nothing is kept"
        stopping.raise_reason(session.processes, what, "run the same command again")


def _choice(
    replay: Replaying,
    source: KeptCheckpoints,
    num_windows: int,
    most_steps: int,
    seed: str | None,
) -> AuditFacts:
    return plan_audit(
        replay.original.digest,
        recorded=[checkpoint.step for checkpoint in replay.entry.checkpoints],
        at_hand=source.steps(),
        total_steps=replay.entry.num_steps,
        num_windows=num_windows,
        most_steps=most_steps,
        seed=secrets.token_hex(16) if seed is None else seed,
        is_seed_given=seed is not None,
    )


def _restored(
    replay: Replaying, source: KeptCheckpoints, window: Window
) -> Restored | None:
    """Load the state at a window's start; None where another process says why not.

    Its tensors are compared with the entry's when training begins with it.

    Raises:
        Diverged: In process 0: it is not what was saved.
    """
    from runtime.checkpoint import Damaged

    session = replay.session
    try:
        return source.restore(window.start_step, session.mesh, session.gather)
    except Damaged as error:
        if session.processes.is_first:
            replay.recorder.damaged(window.start_step, error.problems[0].what)
        return None
