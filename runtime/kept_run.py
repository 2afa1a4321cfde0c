"""A run that the ledger has, with the checkpoints that it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.documents import Stored, run_of
from ledger.entry import Entry, StageFacts
from ledger.recorder import TensorFacts
from ledger.store import Ledger
from runtime.devices import configure
from runtime.reuse import stage_location
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


@dataclass(frozen=True, kw_only=True)
class KeptRun:
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
