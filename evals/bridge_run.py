"""A run for stock lm-evaluation-harness: its weights and its questions, exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.bridge import Bridge, write_bridge
from evals.pinned_tasks import pinned_tasks
from runtime.kept_run import KeptRun, find_kept_run
from runtime.progress import Listener, ignore_progress
from runtime.results import export
from specs.errors import InputError
from specs.evaluation import Evaluation
from specs.experiment import Experiment


def bridge_run(
    text: str,
    items: Sequence[Evaluation],
    *,
    workspace: Path,
    folder: Path,
    progress: Listener = ignore_progress,
) -> Bridge:
    """Export the last weights of a run, and tasks beside them.

    Args:
        text: Beginning of the entry's digest, its unique name, or the spec file whose
            latest completed run is meant.
        items: What is asked, as in a spec's evals; none: what the run's spec asks.
        workspace: The folder that holds `.dvc/`.
        folder: To make: `model` and `tasks` in it.
        progress: Told how far pinning is.

    Raises:
        CheckFailed: The checkpoint is not the entry's.
        InputError: The folder is there; there is no such entry or checkpoint; or a task
            can't be said in lm-eval's terms.
        SpecError: A suite or task is unknown or wrong.
    """
    if folder.exists():
        raise InputError("is there already", file=str(folder), fix="name a new folder")
    run = find_kept_run(text, workspace)
    experiment = Experiment.model_validate(run.entry.spec)
    tasks = pinned_tasks(experiment, items, workspace, progress)
    if not tasks:
        what = "there is no task to ask"
        raise InputError(what, fix="name a suite: --suite quick")
    exported = folder / "model"
    bridge = write_bridge(
        folder / "tasks", tasks, exported=exported, length=_length(run)
    )
    export(text, workspace=workspace, folder=exported)
    return bridge


def _length(run: KeptRun) -> int:
    """Return the most tokens that the run's last weights see at once when scored."""
    ended = [one.name for one in run.ended_stages]
    lengths = {one.name: one.sequence_length for one in run.plan.stages}
    return lengths[ended[-1]] if ended else max(lengths.values())
