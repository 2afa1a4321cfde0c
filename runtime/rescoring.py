"""Asking the weights of a run what its spec did not ask.

    entry + items of evals -> Ready with the items in place of the spec's -> scores

Only what the items need is brought here: the tokenizer and the benchmarks, and training
data where held-out loss is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.evaluation import AskedSuite, AskedTask
from ledger.keys import SigningKey
from ledger.record_evaluation import Made, RecordedEvaluation, record_evaluation
from runtime.inputs import inputs_of
from runtime.kept_run import KeptRun, KeptWeights, configure_for, find_weights_of
from runtime.pin import pin_inputs
from runtime.prepared import open_tokenizer
from runtime.progress import Listener, ignore_progress
from runtime.ready import Ready, ready_entry
from runtime.scoring import Evaluator, Score
from runtime.tokenizer import tokenizer_path
from specs.benchmarks import Benchmarks
from specs.evaluation import Evaluation
from specs.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """What was asked of which weights, and what they gave."""

    kept: KeptWeights
    benchmarks: Benchmarks
    """As they were asked, with the digests of their rows."""
    scores: tuple[Score, ...]
    made: Made


def rescore(
    text: str,
    items: Sequence[Evaluation],
    *,
    workspace: Path,
    evaluator: Evaluator,
    stage: str | None = None,
    num_devices: int | None = None,
    progress: Listener = ignore_progress,
) -> Rescored:
    """Score a checkpoint of a run with suites of one's choice.

    Args:
        text: Beginning of the entry's digest, its unique name, the spec file whose
            latest completed run is meant, or the folder of a checkpoint.
        items: What is asked, as in a spec's evals.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        stage: Whose end is scored; null: the last that was ended.
        num_devices: Devices to use.
        progress: Told how far preparing is.

    Raises:
        CheckFailed: The checkpoint is not the entry's.
        InputError: There is no such entry, stage or checkpoint, or a benchmark is not
            here or not what is declared.
        SpecError: A suite or task is unknown or wrong.
    """
    kept = find_weights_of(text, workspace, stage)
    entry = kept.run.entry
    experiment = Experiment.model_validate(entry.spec).model_copy(
        update={"evals": tuple(items)}
    )
    evaluator.check(experiment)
    ready = _ready(kept.run, experiment, evaluator, progress)
    configure_for(entry, num_devices)
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    restored = kept.restore(session.mesh, session.gather)
    scores = session.all_scores(restored.state, restored.layout, kept.weights.step)
    facts = session.facts(kept.run.ledger, None)
    return Rescored(
        kept=kept,
        benchmarks=ready.lock.benchmarks,
        scores=tuple(scores),
        made=Made(
            code=facts.code,
            environment=facts.environment,
            devices=facts.devices,
            numerics=facts.numerics,
            canary=facts.canary,
        ),
    )


def record(rescored: Rescored, key: SigningKey | None = None) -> RecordedEvaluation:
    """Write what was scored into the ledger; twice is as good as once.

    Raises:
        InputError: The disk is full.
    """
    run, tasks = rescored.kept.run, rescored.benchmarks.tasks
    details = {score.suite: score.detail for score in rescored.scores}
    return record_evaluation(
        run.ledger,
        name=run.entry.name,
        weights=rescored.kept.weights,
        scores=rescored.scores,
        tasks=[
            AskedTask(
                name=name,
                version=task.version,
                fingerprint=str(details[name]["fingerprint"]),
                data=task.data.sha256,
                main=str(details[name]["main"]),
            )
            for name, task in tasks.items()
        ],
        suites=[
            AskedSuite(name=one.suite, version=one.version, tasks=one.tasks)
            for one in rescored.benchmarks.asked
            if one.suite is not None and one.version is not None
        ],
        made=rescored.made,
        key=key,
    )


def _ready(
    run: KeptRun, experiment: Experiment, evaluator: Evaluator, progress: Listener
) -> Ready:
    """Bring here what the items of an experiment's evals need."""
    declared = evaluator.declare(experiment, run.workspace)
    wanted = [
        one
        for one in inputs_of(experiment, declared)
        if one.key.partition(".")[0] in ("evals", "tasks", "shots")
    ]
    locked, benchmarks = pin_inputs(wanted, declared, run.workspace, progress)
    before = run.lock
    inputs = {
        key: one
        for key, one in before.inputs.items()
        if key.partition(".")[0] in ("sources", "tokenizer")
    }
    update = {"inputs": inputs | locked, "benchmarks": benchmarks}
    lock = before.model_copy(update=update)
    if _needs_training_data(experiment) or not _has_tokenizer(run):
        ready = ready_entry(
            run.entry,
            run.ledger,
            run.workspace,
            progress=progress,
            find_overlaps=evaluator.find_overlaps,
        )
        prepared = ready.prepared
        raw_spec = ready.raw_spec
    else:
        prepared = open_tokenizer(run.plan, lock, run.workspace)
        raw_spec = run.ledger.objects.get(run.entry.raw_spec).decode()
    return Ready(
        experiment=experiment,
        raw_spec=raw_spec,
        plan=run.plan,
        lock=lock,
        workspace=run.workspace,
        prepared=prepared,
    )


def _needs_training_data(experiment: Experiment) -> bool:
    return any(item.suite == "heldout" for item in experiment.evals)


def _has_tokenizer(run: KeptRun) -> bool:
    sha256 = run.lock.tokenizer_sha256
    return sha256 is not None and tokenizer_path(run.workspace, sha256).is_file()
