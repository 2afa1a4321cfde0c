"""Tasks that somebody names, with their pinned rows: for all that asks no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.catalogue import declared_benchmarks
from runtime.inputs import inputs_of
from runtime.pin import pin_inputs
from runtime.progress import Listener, ignore_progress
from runtime.question_rows import Row, read_rows
from specs.evaluation import OWN_SUITES, Evaluation
from specs.experiment import Experiment
from specs.task import Task


@dataclass(frozen=True, kw_only=True)
class PinnedTask:
    """A task and its rows."""

    task: Task
    """With the digest of its rows."""
    rows: Sequence[Row]
    shots: Sequence[Row] | None = None
    """Rows of its examples; null where they are the task's own."""


def pinned_tasks(
    experiment: Experiment,
    items: Sequence[Evaluation],
    workspace: Path,
    progress: Listener = ignore_progress,
) -> list[PinnedTask]:
    """Pin the questions of tasks and read them.

    Args:
        experiment: A spec.
        items: What is asked, in place of the spec's evals; none: its own.
        workspace: The folder that holds `.dvc/`.
        progress: Told how far it is.

    Returns:
        In the order of their names; empty where no benchmark is asked for.

    Raises:
        SpecError: A suite or task is unknown or wrong.
        InputError: Questions are not here, or not what is declared.
    """
    asked = tuple(items or experiment.evals)
    wanted = experiment.model_copy(
        update={"evals": tuple(one for one in asked if one.suite not in OWN_SUITES)}
    )
    declared = declared_benchmarks(wanted, workspace)
    inputs = [
        one
        for one in inputs_of(wanted, declared)
        if one.key.startswith(("tasks.", "shots."))
    ]
    locked, benchmarks = pin_inputs(inputs, declared, workspace, progress)
    files = {key: workspace / one.files[0].path for key, one in locked.items()}
    found = []
    for name, task in sorted(benchmarks.tasks.items()):
        shots = task.shots.data
        found.append(
            PinnedTask(
                task=task,
                rows=read_rows(files[f"tasks.{name}"], task.data),
                shots=None
                if shots is None
                else read_rows(files[f"shots.{name}"], shots),
            )
        )
    return found
