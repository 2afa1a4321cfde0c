"""Where a run begins: after its last checkpoint, after reused stages, or at step 0."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.history import read_history
from ledger.store import Ledger
from runtime.amendment import kept_stages
from runtime.places import checkpoint_location
from runtime.progress import Warn
from runtime.reuse import Reused, find_reusable
from specs.errors import InputError
from specs.experiment import Experiment

if TYPE_CHECKING:
    from runtime.checkpoint import CheckpointFolder, Restored
    from runtime.session import Session


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a process starts from."""

    checkpoints: CheckpointFolder
    """The run's own."""
    restored: Restored | None
    """The state to go on from; None: step 0."""
    reused: Reused | None
    """Stages that this process takes over."""
    num_reused: int
    """Stages that the run has taken over, by this process or by an earlier one."""
    resumed_from: int | None
    """Steps done that the run's journal has already; None: it has none."""

    @property
    def step(self) -> int:
        """Steps done."""
        return self.restored.manifest.step if self.restored is not None else 0


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """What the journal says of earlier processes."""

    next_step: int
    num_reused: int
    num_trained: int
    """Stages that were begun."""


def find_beginning(
    session: Session, ledger: Ledger, folder: Path, *, may_reuse: bool, warn: Warn
) -> Beginning:
    """Restore the state that a run goes on from; all processes call it together.

    Args:
        session: The run.
        ledger: That may have its first stages.
        folder: Of the run.
        may_reuse: Whether stages that another run has trained are taken over.
        warn: Told where the run goes on, and what can't be used.

    Raises:
        InputError: There are checkpoints, and none can be used; or the run began with
            stages that can't be taken over any more; or it goes on from another run,
            whose stages would be others here, or are without their checkpoint.
    """
    from runtime.checkpoint import CheckpointFolder

    num_kept = kept_stages(session, ledger)
    ready, policy = session.ready, session.ready.experiment.checkpoints
    checkpoints = CheckpointFolder(
        checkpoint_location(ready.workspace, session.identity, policy),
        ready.plan.model,
        session.processes,
        policy,
    )
    text = session.processes.from_first("recorded", lambda: _recorded(folder))
    recorded = _Recorded(**json.loads(text))
    if recorded.num_reused and not may_reuse:
        raise InputError(
            "this run began with stages that were taken over from another one",
            file=str(folder),
            fix="leave --no-reuse out, or delete the folder to train all of it",
        )
    restored = checkpoints.restore_latest(
        session.mesh, session.gather, at_most=recorded.next_step, warn=warn
    )
    if restored is not None:
        step = restored.manifest.step
        warn(f"going on after step {step:,}")
        return Beginning(
            checkpoints=checkpoints,
            restored=restored,
            reused=None,
            num_reused=recorded.num_reused,
            resumed_from=step,
        )
    reused = _reused(session, ledger, folder, recorded, warn) if may_reuse else None
    num_reused = len(reused.entries) if reused is not None else 0
    if may_reuse and num_reused < num_kept:
        raise _without_prefix(ready.experiment)
    known = min(recorded.next_step, reused.step) if reused is not None else 0
    return Beginning(
        checkpoints=checkpoints,
        restored=reused.restored if reused is not None else None,
        reused=reused,
        num_reused=num_reused,
        resumed_from=known or None,
    )


def _without_prefix(experiment: Experiment) -> InputError:
    amends = experiment.amends
    assert amends is not None
    return InputError(
        f"the run goes on from stage {amends.after} of entry {amends.entry[:12]}, and "
        "the checkpoint of its end is not here or not whole",
        fix="restore it, or run with --no-reuse: what is kept is trained again, and "
        "must come to the same weights",
    )


def _recorded(folder: Path) -> str:
    history = read_history(folder / "journal.jsonl")
    return json.dumps(
        {
            "next_step": history.next_step,
            "num_reused": history.num_reused,
            "num_trained": len(history.stages) - history.num_reused,
        }
    )


def _reused(
    session: Session, ledger: Ledger, folder: Path, recorded: _Recorded, warn: Warn
) -> Reused | None:
    """Take stages over: as many as can be, or as many as the journal says."""
    at_most = recorded.num_reused if recorded.num_trained else None
    if at_most == 0:
        return None
    reused = find_reusable(session, ledger, warn, at_most=at_most)
    if recorded.num_reused > (0 if reused is None else len(reused.entries)):
        raise InputError(
            "stages that this run has taken over are not here any more",
            file=str(folder),
            fix="restore their checkpoints, or delete the folder to begin anew",
        )
    return reused
