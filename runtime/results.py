"""What can be done with a run that the ledger has: score it again, export it."""

from __future__ import annotations

from pathlib import Path

from ledger.entry import ScoreFacts
from ledger.floats import float_texts
from runtime.export import check_exportable, export_hf
from runtime.kept_run import configure_for, find_kept_run
from runtime.progress import Listener, ignore_progress
from runtime.ready import ready_entry
from runtime.scoring import Evaluator
from runtime.tokenizer import tokenizer_path
from specs.base import Value
from specs.errors import InputError


class Evaluation(Value):
    """The scores of a run's checkpoints, anew."""

    entry: str
    """Digest of the entry."""
    scores: tuple[ScoreFacts, ...]
    is_same: bool
    """Whether every score is the entry's, to the bit."""


def evaluate(
    text: str,
    *,
    workspace: Path,
    evaluator: Evaluator,
    num_devices: int | None = None,
    progress: Listener = ignore_progress,
) -> Evaluation:
    """Score the checkpoints of each stage's end again.

    Args:
        text: Beginning of the entry's digest, its unique name, or the spec file whose
            latest completed run is meant.
        workspace: The folder that holds `.dvc/`.
        evaluator: Scores the weights.
        num_devices: Devices to use.
        progress: Told how far preparing is.

    Raises:
        CheckFailed: A checkpoint is not the entry's.
        InputError: There is no such entry or checkpoint, or its data is not here.
    """
    run = find_kept_run(text, workspace)
    ready = ready_entry(run.entry, run.ledger, workspace, progress=progress)
    evaluator.check(ready.experiment)
    configure_for(run.entry, num_devices)
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    expected = {(one.step, one.suite): one.values for one in run.entry.scores}
    scores: list[ScoreFacts] = []
    for stage in run.ended_stages:
        restored = run.at_end(stage).restore(session.mesh, session.gather)
        for score in session.scores(restored.state, restored.layout, stage.stop_step):
            values = float_texts(score.values)
            scores.append(
                ScoreFacts(
                    step=stage.stop_step, suite=score.suite, values=values, detail=None
                )
            )
    is_same = all(one.values == expected.get((one.step, one.suite)) for one in scores)
    return Evaluation(entry=run.stored.digest, scores=tuple(scores), is_same=is_same)


def export(text: str, *, workspace: Path, folder: Path) -> list[str]:
    """Write the last weights of a run for Hugging Face `transformers`.

    Args:
        text: Beginning of the entry's digest, its unique name, or the spec file whose
            latest completed run is meant.
        workspace: The folder that holds `.dvc/`.
        folder: To make; must not be there yet.

    Returns:
        Names of the files.

    Raises:
        CheckFailed: The checkpoint is not the entry's.
        InputError: There is no such entry or checkpoint, the folder is there, or the
            format can't express the architecture.
    """
    run = find_kept_run(text, workspace)
    plan, lock = run.plan, run.lock
    check_exportable(plan.model)
    configure_for(run.entry, plan.tensor)
    from runtime.mesh import build_mesh
    from runtime.state import whole_tensor

    if not run.ended_stages:
        raise InputError("the run ended no stage", fix="codemix run SPEC goes on")
    stage = run.ended_stages[-1]
    restored = run.at_end(stage).restore(build_mesh(plan, wanted=plan.tensor), "step")
    assert lock.tokenizer_sha256 is not None
    return export_hf(
        plan.model,
        {
            name: whole_tensor(rows, name, restored.layout)
            for name, rows in restored.state.weights.items()
        },
        tokenizer=tokenizer_path(workspace, lock.tokenizer_sha256),
        folder=folder,
        max_length=plan.shuffle_unit,
        origin={
            "entry": run.stored.digest,
            "weights_digest": str(stage.weights_digest),
        },
    )
