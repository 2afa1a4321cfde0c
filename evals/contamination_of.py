"""Which questions are in the training text of a spec or run, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.contamination.clean import CleanScores, clean_scores
from evals.contamination.find import look_for_questions
from evals.contamination.report import Contamination
from evals.pinned_tasks import pinned_tasks
from evals.results import result_in
from ledger.evaluation import Evaluation as RecordedScores
from ledger.evaluations import FoundScore, scores_of
from runtime.kept_run import SPEC_SUFFIXES, KeptRun, find_kept_run
from runtime.progress import Listener, ignore_progress
from specs.base import Value
from specs.errors import InputError
from specs.evaluation import Evaluation
from specs.experiment import Experiment
from specs.loading import load_experiment, load_lock, lock_path
from specs.resolve import plan_experiment


class FoundContamination(Value):
    """What was found, and the scores of a run with and without it."""

    subject: str | None
    """Digest of the run's entry; null: a spec was looked at."""
    step: int | None
    """Steps done, of the scores; null: there are no weights to score."""
    report: Contamination
    scores: tuple[CleanScores, ...]
    """Of the tasks that the ledger has results of."""


def contamination_of(
    text: str,
    items: Sequence[Evaluation],
    workspace: Path,
    progress: Listener = ignore_progress,
) -> FoundContamination:
    """Look for pinned questions in all training text.

    Args:
        text: A spec file, whether it was run or not; or the beginning of an entry's
            digest, or its unique name.
        items: Whose questions, as in a spec's evals; none: those of the spec.
        workspace: The folder that holds `.dvc/`.
        progress: Told how far it is.

    Raises:
        SpecError: The spec, a suite or a task is wrong.
        InputError: Training text or questions are not here, or not what is pinned; or
            there is no question to look for.
    """
    run = None
    if Path(text).suffix in SPEC_SUFFIXES:
        experiment = load_experiment(Path(text))
        if not lock_path(Path(text)).exists():
            what = "is not pinned, so what it trains on is unknown"
            raise InputError(what, file=text, fix=f"codemix pin {text}")
        lock = load_lock(lock_path(Path(text)))
        plan = plan_experiment(experiment)
    else:
        run = find_kept_run(text, workspace)
        experiment = Experiment.model_validate(run.entry.spec)
        lock, plan = run.lock, run.plan
    tasks = pinned_tasks(experiment, items, workspace, progress)
    if not tasks:
        raise InputError(
            "there is no question to look for", fix="name a suite: --suite quick"
        )
    found = look_for_questions(
        [(one.task, one.rows) for one in tasks],
        experiment=experiment,
        plan=plan,
        lock=lock,
        workspace=workspace,
        progress=progress,
    )
    report = found.report()
    if run is None or not run.ended_stages:
        digest = None if run is None else run.stored.digest
        return FoundContamination(subject=digest, step=None, report=report, scores=())
    return FoundContamination(
        subject=run.stored.digest,
        step=run.ended_stages[-1].stop_step,
        report=report,
        scores=_scores(run, report),
    )


def _scores(run: KeptRun, report: Contamination) -> tuple[CleanScores, ...]:
    """Split the scores of a run's last weights by what was found."""
    found = []
    scores = scores_of(run.ledger, run.stored.digest)
    for overlap in report.tasks:
        one = scores.get(overlap.task)
        # Other rows of the same name have other questions at the same places.
        if one is None or overlap.data is None or _rows_of(one, run) != overlap.data:
            continue
        assert one.score.detail is not None, "a score on rows has its questions"
        result = result_in(run.ledger.objects.get_json(one.score.detail))
        found.append(clean_scores(result, overlap))
    return tuple(found)


def _rows_of(one: FoundScore, run: KeptRun) -> str | None:
    """Return the digest of the rows that a score was asked on; null: of none."""
    if one.kind == "run":
        task = run.lock.benchmarks.tasks.get(one.task)
        return None if task is None else task.data.sha256
    evaluation = run.ledger.read(one.source)
    assert isinstance(evaluation, RecordedScores)
    return next((task.data for task in evaluation.tasks if task.name == one.task), None)
