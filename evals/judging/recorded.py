"""Win-rates of what the ledger holds: two evaluations in, another one out.

Models reply once, when they are evaluated; a judge may read these replies as often as
it likes, and no weights are loaded for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.catalogue import declared_benchmarks
from evals.judging.judgement import JudgementStore
from evals.judging.keeping import judgements_of, restore_judgements, score_of
from evals.judging.panel import Mode
from evals.judging.replies import Comparison, comparison_of
from evals.judging.win_rate import WinRate
from evals.results import TaskResult
from ledger.evaluation import Evaluation as EvaluationEntry
from ledger.evaluations import FoundScore, evaluations_of, scores_after
from ledger.keys import SigningKey
from ledger.provenance import collect_code, collect_environment
from ledger.record_evaluation import Made, RecordedEvaluation, record_evaluation
from runtime.inputs import inputs_of, locate
from runtime.kept_run import KeptWeights, find_weights_of
from runtime.question_rows import Row, read_rows
from specs.errors import InputError
from specs.evaluation import Evaluation
from specs.experiment import Experiment
from specs.task import Task

REFERENCE = "reference"
"""What B is called where A is compared with the task's own replies."""


@dataclass(frozen=True, kw_only=True)
class RecordedComparison:
    """Replies from the ledger, side by side."""

    kept: KeptWeights
    """The weights that replied as A."""
    comparison: Comparison


def recorded_comparison(
    a: str,
    b: str | None,
    *,
    task: str,
    workspace: Path,
    limit: int | None = None,
    stages: tuple[str | None, str | None] = (None, None),
) -> RecordedComparison:
    """Put the replies that two runs gave to a task side by side.

    Args:
        a: Entry, spec file or checkpoint, as `codemix eval` takes them.
        b: Another; null: the task's reference replies.
        task: Name of a task, or its YAML file from the workspace's folder.
        workspace: The folder that holds `.dvc/`.
        limit: As the replies were asked for.
        stages: Whose ends are meant, of A and of B; null: the last.

    Raises:
        InputError: One of them was never asked this task, or its rows are not here or
            not those that were asked.
        SpecError: There is no such task, or it is wrong.
    """
    kept = find_weights_of(a, workspace, stages[0])
    declared, path = _declared(task, limit, kept, workspace)
    found = _found(kept, declared, task)
    # The judge is to see what was asked, not what the file holds by now.
    pinned = declared.data.model_copy(update={"sha256": _rows_asked(kept, found)})
    rows: Sequence[Row] = read_rows(path, pinned)
    other, name_of_b = None, REFERENCE
    if b is not None:
        kept_b = find_weights_of(b, workspace, stages[1])
        other = _result(kept_b, _found(kept_b, declared, task))
        name_of_b = _name(kept_b)
    return RecordedComparison(
        kept=kept,
        comparison=comparison_of(
            declared,
            rows,
            a=_result(kept, found),
            b=other,
            names=(_name(kept), name_of_b),
        ),
    )


def record_win_rate(
    result: WinRate,
    *,
    kept: KeptWeights,
    store: JudgementStore,
    mode: Mode,
    key: SigningKey | None = None,
) -> RecordedEvaluation:
    """Write a win-rate into the ledger, as an evaluation of A's weights.

    Args:
        result: What came of the comparison.
        kept: The weights of A.
        store: Where the judgements are.
        mode: In which they were had.
        key: Signs the document; null: nobody does.

    Raises:
        CheckFailed: The judgements are no longer those of the result.
        InputError: The disk is full.
    """
    run = kept.run
    return record_evaluation(
        run.ledger,
        name=run.entry.name,
        weights=kept.weights,
        scores=[score_of(result)],
        tasks=[],
        extras=judgements_of(result, store=store, mode=mode),
        # No weights were loaded, so no devices and no numerics had a part in it.
        made=Made(
            code=collect_code(run.workspace, run.ledger.objects.put),
            environment=collect_environment(),
            devices={},
            numerics="none",
            canary=None,
        ),
        key=key,
    )


def restore_recorded(kept: KeptWeights, store: JudgementStore) -> int:
    """Put all judgements that the ledger has of some weights where they are looked for.

    Where evaluations have several answers to a request, the last one counts.

    Returns:
        How many were not there before, such as after an import.
    """
    ledger = kept.run.ledger
    return sum(
        restore_judgements(ledger.objects.get_json(extra.content), store=store)
        for _, entry in reversed(evaluations_of(ledger, kept.weights.digest))
        for extra in entry.extras
        if extra.name.startswith("judgements/")
    )


def _declared(
    name: str, limit: int | None, kept: KeptWeights, workspace: Path
) -> tuple[Task, Path]:
    """Return a task as its scores call it, and where its rows are."""
    asks = Evaluation(tasks=(name,), limit=limit)
    experiment = Experiment.model_validate(kept.run.entry.spec).model_copy(
        update={"evals": (asks,)}
    )
    benchmarks = declared_benchmarks(experiment, workspace)
    (task,) = benchmarks.tasks.values()
    wanted = {one.key: one for one in inputs_of(experiment, benchmarks)}
    located = locate(wanted[f"tasks.{task.name}"], workspace)
    return task, workspace / located.files[0]


def _found(kept: KeptWeights, task: Task, named: str) -> FoundScore:
    """Return the latest score of a task that some weights have."""
    entry = kept.weights.entry
    assert entry is not None, "found by an entry or by a checkpoint that one has"
    found = scores_after(kept.run.ledger, entry, kept.weights.step, tasks={task.name})
    if not found or found[-1].score.detail is None:
        raise InputError(
            f"{_name(kept)} was never asked the task {task.name!r}",
            fix=f"codemix eval {entry[:12]} --task {named}",
        )
    return found[-1]


def _result(kept: KeptWeights, found: FoundScore) -> TaskResult:
    assert found.score.detail is not None
    detail = kept.run.ledger.objects.get_json(found.score.detail)
    # An evaluation may say more of a task than what a result has.
    known = {name: detail[name] for name in TaskResult.model_fields}
    return TaskResult.model_validate(known)


def _rows_asked(kept: KeptWeights, found: FoundScore) -> str | None:
    """Return the digest of the rows that were asked."""
    if found.kind == "run":
        return kept.run.lock.benchmarks.tasks[found.task].data.sha256
    entry = kept.run.ledger.read(found.source)
    assert isinstance(entry, EvaluationEntry)
    return {one.name: one.data for one in entry.tasks}[found.task]


def _name(kept: KeptWeights) -> str:
    """Name weights for people, and exactly, such as `my-run.12.0123456789ab`."""
    return f"{kept.run.entry.name}.{kept.weights.step}.{kept.weights.digest[:12]}"
