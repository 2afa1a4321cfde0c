"""A spec or a run, and what benchmarks share with the text that it trains on.

A spec needs no run: what is in its sources can be known before anything is trained. Of
a run that was scored, the scores are split by what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.catalogue import declared_benchmarks
from evals.contamination.clean import CleanScores, clean_scores
from evals.contamination.find import FoundQuestions, look_for_questions
from evals.contamination.report import Contamination
from evals.statistics.sides import task_results
from ledger.evaluation import Evaluation as RecordedScores
from ledger.evaluations import FoundScore, scores_after
from runtime.inputs import inputs_of
from runtime.kept_run import SPEC_SUFFIXES, KeptRun, find_kept_run
from runtime.pin import pin_inputs
from runtime.progress import Listener, ignore_progress
from runtime.question_rows import Row, read_rows
from specs.base import Value
from specs.errors import InputError
from specs.evaluation import Evaluation
from specs.experiment import Experiment
from specs.loading import load_experiment, load_lock, lock_path
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.task import Task


class RunContamination(Value):
    """What the benchmarks of a spec or a run share with its training text."""

    entry: str | None
    """Digest of the run whose scores are split; null: there is none."""
    contamination: Contamination
    scores: tuple[CleanScores, ...]
    """Of the tasks that the run was scored with, at the end of its last stage."""


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is looked at."""

    experiment: Experiment
    plan: Plan
    lock: Lock
    run: KeptRun | None


def contamination_of(
    text: str,
    items: Sequence[Evaluation] = (),
    *,
    workspace: Path,
    num_workers: int | None = None,
    progress: Listener = ignore_progress,
) -> tuple[RunContamination, FoundQuestions]:
    """Look for benchmark questions in the training text of a spec or a run.

    Args:
        text: Beginning of an entry's digest, its unique name, or a spec file.
        items: Which benchmarks, as in a spec's evals; empty: those of the spec.
        workspace: The folder that holds `.dvc/`.
        num_workers: Worker processes; None chooses by cores and bytes.
        progress: Told how far it is.

    Returns:
        The report, and what it was made of: its `documents()` are those that overlap.

    Raises:
        InputError: There is no such entry, no benchmark, or data is not as pinned.
        SpecError: A suite or task is unknown or wrong.
    """
    subject = _subject(text, workspace)
    tasks = _tasks(subject, items, workspace, progress)
    if not tasks:
        raise InputError(
            "there is no benchmark whose questions could be looked for",
            path="evals",
            fix="name some with --suite or --task, or in the evals of the spec",
        )
    found = look_for_questions(
        tasks,
        experiment=subject.experiment,
        plan=subject.plan,
        lock=subject.lock,
        workspace=workspace,
        num_workers=num_workers,
        progress=progress,
    )
    report = found.report()
    run = subject.run
    told = RunContamination(
        entry=None if run is None else run.stored.digest,
        contamination=report,
        scores=() if run is None else tuple(_split_scores(run, report)),
    )
    return told, found


def _subject(text: str, workspace: Path) -> _Subject:
    path = Path(text)
    if path.suffix not in SPEC_SUFFIXES:
        run = find_kept_run(text, workspace)
        experiment = Experiment.model_validate(run.entry.spec)
        return _Subject(experiment=experiment, plan=run.plan, lock=run.lock, run=run)
    experiment = load_experiment(path)
    plan = plan_experiment(experiment)
    lock = load_lock(lock_path(path))
    try:
        run = find_kept_run(text, workspace)
    except InputError:
        return _Subject(experiment=experiment, plan=plan, lock=lock, run=None)
    return _Subject(experiment=experiment, plan=plan, lock=lock, run=run)


def _tasks(
    subject: _Subject,
    items: Sequence[Evaluation],
    workspace: Path,
    progress: Listener,
) -> list[tuple[Task, list[Row]]]:
    inputs, benchmarks = subject.lock.inputs, subject.lock.benchmarks
    if items:
        asked = subject.experiment.model_copy(update={"evals": tuple(items)})
        declared = declared_benchmarks(asked, workspace)
        wanted = [
            one
            for one in inputs_of(asked, declared)
            if one.key.partition(".")[0] in ("tasks", "shots")
        ]
        inputs, benchmarks = pin_inputs(wanted, declared, workspace, progress)
    return [
        (task, read_rows(workspace / inputs[f"tasks.{name}"].files[0].path, task.data))
        for name, task in sorted(benchmarks.tasks.items())
    ]


def _split_scores(run: KeptRun, report: Contamination) -> list[CleanScores]:
    """Split what the weights of a run's end scored, of tasks with the same rows."""
    if not run.ended_stages:
        return []
    tasks = {task.task: task for task in report.tasks}
    scores = [
        one
        for one in scores_after(run.ledger, run.stored.digest, None, tasks=tasks)
        if _rows_of(one, run) == tasks[one.task].data
    ]
    results = task_results(scores, run.ledger.objects)
    return [
        clean_scores(result, tasks[name])
        for name, by_fingerprint in sorted(results.items())
        for result in by_fingerprint.values()
    ]


def _rows_of(one: FoundScore, run: KeptRun) -> str | None:
    """Return the digest of the rows that a score was asked on."""
    if one.kind == "run":
        task = run.lock.benchmarks.tasks.get(one.task)
        return None if task is None else task.data.sha256
    evaluation = run.ledger.read(one.source)
    assert isinstance(evaluation, RecordedScores)
    return next((task.data for task in evaluation.tasks if task.name == one.task), None)
