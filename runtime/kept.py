"""The checkpoints that a run left, with those of the stages that it took over."""

from __future__ import annotations

from pathlib import Path

from jax.sharding import Mesh

from ledger.entry import Entry
from ledger.store import Ledger
from runtime.checkpoint import CheckpointFolder, Restored
from runtime.places import checkpoint_location
from runtime.processes import ALONE, Processes
from runtime.reuse import stage_location
from runtime.state import Gather
from specs.experiment import Experiment
from specs.plan import PlannedModel


class KeptCheckpoints:
    """Checkpoints of one entry, wherever they lie; to be read only."""

    def __init__(
        self,
        entry: Entry,
        model: PlannedModel,
        ledger: Ledger,
        workspace: Path,
        processes: Processes = ALONE,
    ) -> None:
        """Find the places; there need not be anything."""
        policy = Experiment.model_validate(entry.spec).checkpoints
        own = checkpoint_location(workspace, entry.identity, policy)
        self._own = CheckpointFolder(own, model, processes)
        self._taken = {
            stage.stop_step: CheckpointFolder(
                stage_location(entry, stage, ledger, workspace), model, processes
            )
            for stage in entry.stages
            if stage.reused_from is not None
        }

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are there, the earliest first."""
        taken = [step for step, one in self._taken.items() if step in one.steps()]
        return sorted({*self._own.steps(), *taken})

    def restore(self, step: int, mesh: Mesh, gather: Gather) -> Restored:
        """Load one checkpoint; see `CheckpointFolder.restore`."""
        return self._taken.get(step, self._own).restore(step, mesh, gather)
