"""What of a spec is left to be chosen for the machine that it runs on.

`auto` becomes a number as soon as a spec is loaded, by a rule that needs no machine.
For choosing by the machine instead one has to know what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from specs.activations import REMATS, Remat
from specs.experiment import Experiment
from specs.inherit import read_with_parents
from specs.matrix import variations
from specs.names import mapping
from specs.stages import AUTO

Gather = Literal["step", "layer"]

GATHERS: tuple[Gather, ...] = ("step", "layer")


@dataclass(frozen=True, kw_only=True)
class LeftOpen:
    """Which choices a spec leaves open."""

    lane: bool
    remat: bool
    gather: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Values for what can be left open."""

    lane: int
    remat: Remat
    gather: Gather

    def apply(self, experiment: Experiment) -> Experiment:
        """Return the experiment with these values written out."""
        batch = {**experiment.batch.to_json(), "lane": self.lane, "remat": self.remat}
        parallel = {**experiment.parallel.to_json(), "gather": self.gather}
        changed = {**experiment.to_json(), "batch": batch, "parallel": parallel}
        return Experiment.model_validate(changed)


def left_open(path: Path) -> list[LeftOpen]:
    """Return what each experiment of a spec file leaves open, in their order.

    Raises:
        SpecError: The file is not sound.
    """
    document, _ = read_with_parents(path)
    found = []
    for one in variations(document):
        batch = mapping(one.value.get("batch"))
        parallel = mapping(one.value.get("parallel"))
        found.append(
            LeftOpen(
                lane=batch.get("lane", AUTO) == AUTO,
                remat=batch.get("remat", AUTO) == AUTO,
                gather=parallel.get("gather", AUTO) == AUTO,
            )
        )
    return found


def choices(
    experiment: Experiment, is_open: LeftOpen, fewest_lanes: int
) -> list[Choice]:
    """Return every choice that a spec allows.

    Args:
        experiment: The spec.
        is_open: What it leaves open.
        fewest_lanes: What a batch must have, so that each device has one.
    """
    batch, parallel = experiment.batch, experiment.parallel
    lanes = _lanes(batch.sequences, fewest_lanes) if is_open.lane else [batch.lane]
    remats = [one for one in REMATS if batch.remat in (AUTO, one)]
    gathers = [one for one in GATHERS if parallel.gather in (AUTO, one)]
    return [
        Choice(lane=lane, remat=remat, gather=gather)
        for lane in lanes
        for remat in remats
        for gather in gathers
    ]


def _lanes(sequences: int, fewest_lanes: int) -> list[int]:
    """Return sequences per lane: those that make a power of two of lanes, or more."""
    found = [sequences]
    while found[-1] % 2 == 0:
        found.append(found[-1] // 2)
    return [lane for lane in found if sequences // lane >= fewest_lanes]
