"""Asking the weights of a run what its spec did not ask.

    entry + items of evals -> Ready with the items in place of the spec's -> scores

Only what the items need is brought here: the tokenizer and the benchmarks, and training
data where held-out loss is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.entry import StageFacts
from runtime.inputs import inputs_of
from runtime.kept_run import KeptRun, configure_for, find_kept_run
from runtime.pin import pin_inputs
from runtime.prepared import open_tokenizer
from runtime.progress import Listener, ignore_progress
from runtime.ready import Ready, ready_entry
from runtime.scoring import Evaluator, Score
from runtime.tokenizer import tokenizer_path
from specs.benchmarks import Benchmarks
from specs.errors import InputError
from specs.evaluation import Evaluation
from specs.experiment import Experiment
from specs.names import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """What was asked of which weights, and what they gave."""

    run: KeptRun
    stage: str
    step: int
    """Steps done."""
    weights_digest: str
    benchmarks: Benchmarks
    """As they were asked, with the digests of their rows."""
    scores: tuple[Score, ...]
    devices: int
    """Devices that were used."""


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
        text: Beginning of the entry's digest, its unique name, or the spec file whose
            latest completed run is meant.
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
    run = find_kept_run(text, workspace)
    chosen = _stage_of(run, stage)
    experiment = Experiment.model_validate(run.entry.spec).model_copy(
        update={"evals": tuple(items)}
    )
    evaluator.check(experiment)
    ready = _ready(run, experiment, evaluator, progress)
    configure_for(run.entry, num_devices)
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    restored = run.restore(chosen, session.mesh, session.gather)
    assert chosen.weights_digest is not None
    return Rescored(
        run=run,
        stage=chosen.name,
        step=chosen.stop_step,
        weights_digest=chosen.weights_digest,
        benchmarks=ready.lock.benchmarks,
        scores=tuple(session.scores(restored.state, restored.layout, chosen.stop_step)),
        devices=session.mesh.size,
    )


def _stage_of(run: KeptRun, name: str | None) -> StageFacts:
    ended = {stage.name: stage for stage in run.ended_stages}
    if not ended:
        raise InputError("the run ended no stage", fix="codemix run SPEC goes on")
    if name is None:
        return run.ended_stages[-1]
    if name not in ended:
        raise InputError(
            f"the run has no stage {name!r} that was trained to its end",
            fix=did_you_mean(name, list(ended)),
        )
    return ended[name]


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
        ready = ready_entry(run.entry, run.ledger, run.workspace, progress=progress)
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
