"""Which questions are in the training text of a spec or run, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.contamination.clean import CleanScores, clean_scores
from evals.contamination.find import look_for_questions
from evals.contamination.report import Contamination
from evals.pinned_tasks import pinned_tasks
from evals.results import TaskResult, result_in
from ledger.evaluations import scores_of
from ledger.store import Ledger
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
    """Steps done, of the scores."""
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
    step = None if run is None else run.ended_stages[-1].stop_step
    return FoundContamination(
        subject=None if run is None else run.stored.digest,
        step=step,
        report=report,
        scores=() if run is None else _scores(run, report),
    )


def _scores(run: KeptRun, report: Contamination) -> tuple[CleanScores, ...]:
    """Split the scores of a run's last weights by what was found."""
    found = []
    results = _results(run.ledger, run.stored.digest)
    for overlap in report.tasks:
        result = results.get(overlap.task)
        if result is not None:
            found.append(clean_scores(result, overlap))
    return tuple(found)


def _results(ledger: Ledger, digest: str) -> dict[str, TaskResult]:
    """Return task -> its results per question, of the last weights of a run."""
    results = {}
    for name, found in scores_of(ledger, digest).items():
        if found.fingerprint is not None and found.score.detail is not None:
            detail = ledger.objects.get_json(found.score.detail)
            results[name] = result_in(detail)
    return results
