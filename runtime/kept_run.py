"""A run that the ledger has, with the checkpoints that it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.documents import Stored, run_of
from ledger.entry import Entry, StageFacts
from ledger.evaluations import find_weights
from ledger.store import Ledger
from ledger.weights import Weights, weights_digest
from runtime.devices import configure
from runtime.manifest import MANIFEST, Manifest
from runtime.reuse import stage_location
from specs.errors import CheckFailed, InputError
from specs.experiment import experiment_digest
from specs.loading import load_experiment
from specs.lock import Lock
from specs.names import did_you_mean
from specs.plan import Plan

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from runtime.checkpoint import Restored
    from runtime.state import Gather

SPEC_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class KeptRun:
    """An entry whose checkpoints are looked for in the workspace."""

    stored: Stored
    entry: Entry
    ledger: Ledger
    workspace: Path

    def at_end(self, stage: StageFacts) -> KeptWeights:
        """Return the weights of a stage's end."""
        location = stage_location(self.entry, stage, self.ledger, self.workspace)
        assert stage.weights_digest is not None
        return KeptWeights(
            run=self,
            weights=Weights(
                stage.weights_digest, stage.stop_step, self.stored.digest, stage.name
            ),
            location=location,
        )

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


@dataclass(frozen=True, kw_only=True)
class KeptWeights:
    """The weights of a run after some step, and where a checkpoint has them."""

    run: KeptRun
    weights: Weights
    location: Path | str
    """The folder that the checkpoint's own folder is in."""

    def restore(self, mesh: Mesh, gather: Gather) -> Restored:
        """Load the checkpoint and check it against the entry.

        Raises:
            CheckFailed: It is not the entry's.
            InputError: It is not there.
        """
        from runtime.checkpoint import CheckpointFolder

        step, run = self.weights.step, self.run
        checkpoints = CheckpointFolder(self.location, run.plan.model)
        if step not in checkpoints.steps():
            raise InputError(
                f"the checkpoint after step {step} is not here any more",
                file=checkpoints.location,
                fix=f"codemix reproduce {run.stored.digest[:12]} shows that it can be "
                "made again; to keep one, copy the folder from where the run was",
            )
        restored = checkpoints.restore(step, mesh, gather)
        if weights_digest(restored.manifest.tensors) != self.weights.digest:
            raise CheckFailed(
                f"the checkpoint after step {step} is not the entry's",
                file=checkpoints.location,
                fix="restore the folder from where the run was",
            )
        return restored


def find_weights_of(text: str, workspace: Path, stage: str | None) -> KeptWeights:
    """Find the weights that are meant.

    Args:
        text: As `find_kept_run` has it; or the folder of a checkpoint, wherever it is.
        workspace: The folder that holds `.dvc/`.
        stage: Whose end is meant; null: the last that was ended.

    Raises:
        InputError: There is no such entry, stage or checkpoint, or no entry has the
            weights of the checkpoint.
    """
    folder = Path(text)
    if (folder / MANIFEST).is_file():
        return _weights_in(folder, workspace, stage)
    run = find_kept_run(text, workspace)
    ended = {one.name: one for one in run.ended_stages}
    if not ended:
        raise InputError("the run ended no stage", fix="codemix run SPEC goes on")
    if stage is not None and stage not in ended:
        raise InputError(
            f"the run has no stage {stage!r} that was trained to its end",
            fix=did_you_mean(stage, list(ended)),
        )
    return run.at_end(ended[stage] if stage is not None else run.ended_stages[-1])


def _weights_in(folder: Path, workspace: Path, stage: str | None) -> KeptWeights:
    """Find the run that the checkpoint in a folder is of, by its weights."""
    if stage is not None:
        what = "a checkpoint is of one step: no stage can be chosen"
        raise InputError(what, file=str(folder), fix="leave --stage out")
    try:
        manifest = Manifest.opened((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"is no manifest of a checkpoint: {error}"
        raise InputError(what, file=str(folder / MANIFEST)) from None
    ledger = Ledger.open(workspace)
    found = find_weights(ledger, weights_digest(manifest.tensors))
    if found is None or found.entry is None:
        raise InputError(
            "no entry of the ledger has the weights of this checkpoint",
            file=str(folder),
            fix="let the run end, or import the bundle that it belongs to: the entry "
            "tells the model and its tokenizer",
        )
    run = find_kept_run(found.entry, workspace)
    return KeptWeights(run=run, weights=found, location=folder.resolve().parent)


def find_kept_run(text: str, workspace: Path) -> KeptRun:
    """Find a run.

    Args:
        text: Beginning of the entry's digest, its unique name, or the spec file whose
            latest completed run is meant.
        workspace: The folder that holds `.dvc/`.

    Raises:
        InputError: There is no such entry.
    """
    ledger = Ledger.open(workspace)
    is_spec = Path(text).suffix in SPEC_SUFFIXES
    stored = _latest_run(ledger, Path(text)) if is_spec else ledger.find(text)
    return KeptRun(
        stored=stored, entry=run_of(stored), ledger=ledger, workspace=workspace
    )


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


def configure_for(entry: Entry, num_devices: int | None) -> None:
    """Set the devices up as for the run of an entry."""
    isa = entry.devices.get("cpu_isa")
    configure(entry.determinism, num_devices, isa if isinstance(isa, str) else None)
