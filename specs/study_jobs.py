"""What a study runs: commands that wait for each other.

A job trains some stages of one experiment. Each experiment has one that goes to its
end, scores it and makes its entry; where experiments part, one of them is run up to
there before, and stops. Stages in between that nobody else waits for are trained by the
same process, as every process costs seconds to start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from specs.study_graph import Member, StageNode, StudyGraph


class Job(NamedTuple):
    """A command of a study."""

    name: str
    """`EXPERIMENT`, or `EXPERIMENT/STAGE` where it stops at the end of a stage."""
    experiment: str
    """Name of the experiment that is run."""
    stop_after: int | None
    """Steps done after which it stops; None: it goes to the end and makes an entry."""
    stages: tuple[str, ...]
    """Identities of those that it trains; none where others train all of them."""
    parents: tuple[str, ...]
    """Names of the jobs that must have ended before."""
    most_devices: int
    """Devices that it can use: its lanes bound them."""
    num_steps: int
    """Steps that it trains."""
    flops: int
    """Floating-point operations of these steps."""

    @property
    def is_whole(self) -> bool:
        """Whether it goes to the end of its experiment."""
        return self.stop_after is None

    def command(self, spec: Path) -> tuple[str, ...]:
        """Return the command line.

        Args:
            spec: File of the experiment, and of no other one.
        """
        stop = () if self.is_whole else ("--stop-after", str(self.stop_after))
        return ("codemix", "run", str(spec), *stop)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; FLOPs as a float, too large for a JSON integer."""
        lists = {"stages": list(self.stages), "parents": list(self.parents)}
        return {**self._asdict(), **lists, "flops": float(self.flops)}


def jobs_of(graph: StudyGraph, *, per_stage: bool = False) -> dict[str, Job]:
    """Return the jobs of a study by name, each after those that it waits for.

    Args:
        graph: The study.
        per_stage: Whether each stage is a job of its own, also where nobody else waits
            for it.
    """
    jobs: dict[str, Job] = {}
    trained_by: dict[str, str] = {}
    for chain in _chains(graph, per_stage=per_stage):
        above = jobs[trained_by[one]] if (one := chain[0].parent) else None
        job = _training(graph, chain, above)
        jobs[job.name] = job
        trained_by |= dict.fromkeys(job.stages, job.name)
    for member in graph.members.values():
        if member.name not in jobs:
            parents = (trained_by[member.stages[-1]],)
            jobs[member.name] = _job(member, None, (), parents)
    return jobs


def _chains(graph: StudyGraph, *, per_stage: bool) -> Iterator[list[StageNode]]:
    """Yield runs of stages that the same experiments have; none ends within one."""
    chains: dict[str, list[StageNode]] = {}
    for identity, node in graph.nodes.items():
        before = graph.nodes[node.parent] if node.parent is not None else None
        goes_on = before is not None and before.experiments == node.experiments
        if before is not None and goes_on and not per_stage:
            chain = chains[before.identity]
        else:
            chain = []
        chain.append(node)
        chains[identity] = chain
    yield from {id(chain): chain for chain in chains.values()}.values()


def _training(graph: StudyGraph, chain: list[StageNode], above: Job | None) -> Job:
    """Make the job that trains a chain, after the job that it goes on from."""
    last = chain[-1]
    if above is not None and above.experiment in last.experiments:
        # A run that has trained goes on by itself, and takes nothing over any more.
        member = graph.members[above.experiment]
    else:
        member = _trainer(graph, last)
    parents = (above.name,) if above is not None else ()
    is_last = member.stages[-1] == last.identity
    return _job(member, None if is_last else last.stop_step, chain, parents)


def _trainer(graph: StudyGraph, node: StageNode) -> Member:
    """Choose the experiment that is run to train a stage for all that have it.

    What is recorded is taken over at the steps that the others ask for, so the one that
    records most often; of these one that ends here, as it needs no job more.
    """
    members = [graph.members[name] for name in node.experiments]

    def rank(member: Member) -> tuple[float, float, bool]:
        logging = member.experiment.logging
        heldout = logging.heldout_every_steps or math.inf
        return logging.every_steps, heldout, member.stages[-1] != node.identity

    return min(members, key=rank)


def _job(
    member: Member,
    stop_after: int | None,
    chain: Sequence[StageNode],
    parents: tuple[str, ...],
) -> Job:
    name = member.name
    if stop_after is not None:
        index = member.stages.index(chain[-1].identity)
        name = f"{name}/{member.plan.stages[index].name}"
    lanes = min(stage.num_lanes // stage.accumulation for stage in member.plan.stages)
    return Job(
        name=name,
        experiment=member.name,
        stop_after=stop_after,
        stages=tuple(node.identity for node in chain),
        parents=parents,
        most_devices=lanes * member.plan.tensor,
        num_steps=sum(node.num_steps for node in chain),
        flops=sum(node.flops for node in chain),
    )
