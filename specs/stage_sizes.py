"""What one stage comes to: its batch, steps, and sequences of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specs.apportion import apportion, source_shares
from specs.stages import Batch, Stage

if TYPE_CHECKING:
    from specs.experiment import Experiment


def stage_batch(experiment: Experiment, stage: Stage) -> Batch:
    """Return the batch of a stage: its own, or the experiment's."""
    return stage.batch or experiment.batch


def stage_steps(experiment: Experiment, stage: Stage) -> int:
    """Return the steps of a stage: its tokens, rounded down to whole steps."""
    batch = stage_batch(experiment, stage)
    return stage.tokens // (batch.sequences * batch.length)


def stage_sequences(experiment: Experiment, stage: Stage) -> dict[str, int]:
    """Return the sequences of each source in a stage."""
    batch = stage_batch(experiment, stage)
    num_sequences = stage_steps(experiment, stage) * batch.sequences
    return apportion(source_shares(stage.mixture, experiment.mixtures), num_sequences)
