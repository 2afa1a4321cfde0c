"""The graph of a study as people and programs want to read it: plain JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from specs.study_graph import StageNode, StudyGraph, Work, work_of
from specs.study_jobs import jobs_of

OTHER = "other"
"""Stands for the models of all presets that are not named."""

_SECONDS_PER_HOUR = 3600


class Assumed(NamedTuple):
    """What chip-hours are reckoned with."""

    chip: str
    """Name of the accelerator."""
    peak_flops: float
    """Of one chip, per second, by its datasheet."""
    mfu: Mapping[str, float]
    """Preset of the model, or `OTHER` -> share of the peak that training reaches."""
    price: float | None
    """Of a chip-hour."""

    def chip_hours(self, nodes: Iterable[StageNode]) -> float | None:
        """Return the chip-hours of stages; None where no share is known of a model."""
        seconds = 0.0
        for node in nodes:
            mfu = self.mfu.get(node.preset or OTHER, self.mfu.get(OTHER))
            if mfu is None:
                return None
            seconds += node.flops / (self.peak_flops * mfu)
        return seconds / _SECONDS_PER_HOUR


def study_report(
    graph: StudyGraph,
    *,
    name: str,
    in_ledger: Mapping[str, str] | None = None,
    assumed: Assumed | None = None,
) -> dict[str, Any]:
    """Return what a study comes to and costs.

    Args:
        graph: The study.
        name: Of the study.
        in_ledger: Identity of a stage in the graph -> the entry that has it; None where
            it is not known, as nothing is prepared.
        assumed: For chip-hours and money; None: neither is told.
    """
    members, nodes = graph.members.values(), list(graph.nodes.values())
    found = in_ledger or {}
    alone = [graph.nodes[one] for member in members for one in member.stages]
    left = list(graph.to_train(found))
    totals = {"alone": alone, "shared": nodes, "to_do": left}
    return {
        "name": name,
        "experiments": [
            {
                "name": member.name,
                "file": str(member.path),
                "spec_digest": member.plan.spec_digest,
                "steps": member.plan.num_steps,
                "tokens": member.plan.num_tokens,
                "stages": list(member.stages),
            }
            for member in members
        ],
        "stages": [
            {
                "identity": node.identity,
                "name": node.name,
                "parent": node.parent,
                "start_step": node.start_step,
                "stop_step": node.stop_step,
                **_priced(work_of([node]), [node], assumed),
                "experiments": list(node.experiments),
                "entry": found.get(node.identity),
            }
            for node in nodes
        ],
        "totals": {
            key: _priced(work_of(some), some, assumed) for key, some in totals.items()
        },
        "saved_share": _saved(graph),
        "jobs": [job.to_json() for job in jobs_of(graph).values()],
        "is_ledger_known": in_ledger is not None,
        "assumed": None
        if assumed is None
        else {**assumed._asdict(), "mfu": dict(assumed.mfu)},
    }


def _priced(
    work: Work, nodes: list[StageNode], assumed: Assumed | None
) -> dict[str, Any]:
    hours = assumed.chip_hours(nodes) if assumed is not None else None
    price = assumed.price if assumed is not None else None
    money = hours * price if hours is not None and price is not None else None
    return {**work.to_json(), "chip_hours": hours, "money": money}


def _saved(graph: StudyGraph) -> float:
    """Return the share of steps that are not trained again."""
    return round(1 - graph.shared.steps / graph.alone.steps, 4)
