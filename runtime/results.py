"""What can be done with a run that the ledger has: score it again, export it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.documents import Stored, run_of
from ledger.entry import Entry, ScoreFacts, StageFacts
from ledger.floats import float_texts
from ledger.recorder import TensorFacts
from ledger.store import Ledger
from runtime.devices import configure
from runtime.export import check_exportable, export_hf
from runtime.progress import Listener, ignore_progress
from runtime.ready import ready_entry
from runtime.reuse import stage_location
from runtime.scoring import Evaluator
from runtime.tokenizer import tokenizer_path
from specs.base import Value
from specs.errors import CheckFailed, InputError
from specs.experiment import experiment_digest
from specs.loading import load_experiment
from specs.lock import Lock
from specs.plan import Plan

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from runtime.checkpoint import CheckpointFolder, Restored
    from runtime.state import Gather

SPEC_SUFFIXES = (".yaml", ".yml")


class Evaluation(Value):
    """The scores of a run's checkpoints, anew."""

    entry: str
    """Digest of the entry."""
    scores: tuple[ScoreFacts, ...]
    is_same: bool
    """Whether every score is the entry's, to the bit."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """An entry whose checkpoints are looked for in the workspace."""

    stored: Stored
    entry: Entry
    ledger: Ledger
    workspace: Path

    def restore(self, stage: StageFacts, mesh: Mesh, gather: Gather) -> Restored:
        """Load the checkpoint of a stage's end and check it against the entry."""
        checkpoints = self._checkpoints(stage)
        if stage.stop_step not in checkpoints.steps():
            raise InputError(
                f"the checkpoint after step {stage.stop_step} is not here any more",
                file=checkpoints.location,
                fix=f"codemix reproduce {self.stored.digest[:12]} shows that it can be "
                "made again; to keep one, copy the folder from where the run was",
            )
        restored = checkpoints.restore(stage.stop_step, mesh, gather)
        if restored.manifest.tensors != self._expected(stage.stop_step):
            raise CheckFailed(
                f"the checkpoint after step {stage.stop_step} is not the entry's",
                file=checkpoints.location,
                fix="restore the folder from where the run was",
            )
        return restored

    def _checkpoints(self, stage: StageFacts) -> CheckpointFolder:
        from runtime.checkpoint import CheckpointFolder

        entry = self.entry
        location = stage_location(entry, stage, self.ledger, self.workspace)
        return CheckpointFolder(location, self.plan.model)

    def _expected(self, step: int) -> dict[str, TensorFacts]:
        for checkpoint in self.entry.checkpoints:
            if checkpoint.step == step:
                found = self.ledger.objects.get_json(checkpoint.tensors)
                return {
                    name: TensorFacts.model_validate(facts)
                    for name, facts in found.items()
                }
        return {}

    @property
    def plan(self) -> Plan:
        """The plan that the entry holds."""
        return Plan.model_validate(self.ledger.objects.get_json(self.entry.plan))

    @property
    def lock(self) -> Lock:
        """The lock that the entry holds."""
        return Lock.model_validate(self.ledger.objects.get_json(self.entry.lock))

    @property
    def ended_stages(self) -> list[StageFacts]:
        """Stages that were trained to their end."""
        return [stage for stage in self.entry.stages if stage.weights_digest]


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
    run = _find(text, workspace)
    ready = ready_entry(run.entry, run.ledger, workspace, progress=progress)
    evaluator.check(ready.experiment)
    _configure(run.entry, num_devices)
    from runtime.session import open_session

    session = open_session(ready, evaluator, num_devices=num_devices)
    expected = {(one.step, one.suite): one.values for one in run.entry.scores}
    scores: list[ScoreFacts] = []
    for stage in run.ended_stages:
        restored = run.restore(stage, session.mesh, session.gather)
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
    run = _find(text, workspace)
    plan, lock = run.plan, run.lock
    check_exportable(plan.model)
    _configure(run.entry, plan.tensor)
    from runtime.mesh import build_mesh
    from runtime.state import whole_tensor

    if not run.ended_stages:
        raise InputError("the run ended no stage", fix="codemix run SPEC goes on")
    stage = run.ended_stages[-1]
    restored = run.restore(stage, build_mesh(plan, wanted=plan.tensor), "step")
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


def _find(text: str, workspace: Path) -> _Run:
    ledger = Ledger.open(workspace)
    is_spec = Path(text).suffix in SPEC_SUFFIXES
    stored = _latest_run(ledger, Path(text)) if is_spec else ledger.find(text)
    return _Run(stored=stored, entry=run_of(stored), ledger=ledger, workspace=workspace)


def _latest_run(ledger: Ledger, spec_path: Path) -> Stored:
    """Return the latest completed entry of a spec as it is now."""
    digest = experiment_digest(load_experiment(spec_path))
    found = [
        stored
        for stored in ledger.entries()
        if isinstance(stored.entry, Entry)
        and stored.entry.spec_digest == digest
        and stored.entry.outcome.status == "completed"
    ]
    if not found:
        raise InputError(
            "the ledger has no completed run of this spec as it is now",
            file=str(spec_path),
            fix=f"codemix run {spec_path}",
        )
    return found[-1]


def _configure(entry: Entry, num_devices: int | None) -> None:
    isa = entry.devices.get("cpu_isa")
    configure(entry.determinism, num_devices, isa if isinstance(isa, str) else None)
