"""A study as a graph: every stage once, below the one that it goes on from.

    experiments --plan, identities--> stages, each shared by some of the experiments

Pure: what the ledger has, and what a chip-hour costs, is asked of the graph by others.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from specs.costs import flops_per_token
from specs.errors import Problem, SpecError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan, PlannedStage
from specs.resolve import plan_experiment
from specs.study_identity import planned_identities


class Member(NamedTuple):
    """An experiment of a study."""

    path: Path
    """The spec file that it is of."""
    experiment: Experiment
    plan: Plan
    stages: tuple[str, ...]
    """Identities, in order."""

    @property
    def name(self) -> str:
        """Name of the experiment, its own within the study."""
        return self.experiment.name


class Work(NamedTuple):
    """What some stages come to."""

    stages: int
    steps: int
    tokens: int
    flops: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; FLOPs as a float, too large for a JSON integer."""
        return {**self._asdict(), "flops": float(self.flops)}


class StageNode(NamedTuple):
    """A stage that is trained once."""

    identity: str
    name: str
    """`EXPERIMENT/STAGE` of the first experiment that has it."""
    parent: str | None
    """Identity of the stage before; None: it begins at step 0."""
    start_step: int
    stop_step: int
    num_tokens: int
    flops: int
    preset: str | None
    """Of the model, for what is assumed of its speed."""
    experiments: tuple[str, ...]
    """Names of those that have it, in the order of the study."""

    @property
    def stage(self) -> str:
        """Name of the stage, as the first experiment has it."""
        return self.name.rpartition("/")[2]

    @property
    def num_steps(self) -> int:
        """Optimizer steps in it."""
        return self.stop_step - self.start_step


@dataclass(frozen=True, kw_only=True)
class StudyGraph:
    """The experiments of a study and their stages, each once."""

    members: dict[str, Member]
    """By name, in the order of the study."""
    nodes: dict[str, StageNode]
    """By identity, each after the one that it goes on from."""

    @property
    def alone(self) -> Work:
        """What it takes to run each experiment alone."""
        return work_of(
            self.nodes[one] for member in self.members.values() for one in member.stages
        )

    @property
    def shared(self) -> Work:
        """What it takes where each stage is trained once."""
        return work_of(self.nodes.values())

    def ending_with(self, identity: str) -> tuple[str, ...]:
        """Return the names of the experiments whose last stage it is."""
        found = self.members.values()
        return tuple(member.name for member in found if member.stages[-1] == identity)

    def to_train(self, found: Container[str]) -> Iterator[StageNode]:
        """Yield the stages that are left to train where some are there already.

        What comes before a stage that is there is not needed any more for it.

        Args:
            found: Identities of those that are there.
        """
        left = set()
        for member in self.members.values():
            for identity in reversed(member.stages):
                if identity in found:
                    break
                left.add(identity)
        yield from (node for node in self.nodes.values() if node.identity in left)

    def tree(self) -> Iterator[tuple[StageNode, tuple[bool, ...]]]:
        """Yield each stage below the one that it goes on from.

        Yields:
            The stage, and for each level above it whether it is the last one there; the
            last of them is its own. Those that begin at step 0 have no level.
        """
        below: dict[str | None, list[str]] = {}
        for identity, node in self.nodes.items():
            below.setdefault(node.parent, []).append(identity)

        def walk(
            identity: str, levels: tuple[bool, ...]
        ) -> Iterator[tuple[StageNode, tuple[bool, ...]]]:
            yield self.nodes[identity], levels
            heirs = below.get(identity, [])
            for heir in heirs:
                yield from walk(heir, (*levels, heir == heirs[-1]))

        for root in below.get(None, []):
            yield from walk(root, ())


def study_graph(
    experiments: Sequence[tuple[Path, Experiment]],
    locks: Mapping[str, Lock] | None = None,
) -> StudyGraph:
    """Make the graph of a study.

    Args:
        experiments: With the file of each.
        locks: By name of the experiment, prepared, and of all of them; stages are then
            told apart by the bytes of their data, else by its definition.

    Raises:
        SpecError: Two experiments have one name.
    """
    _refuse_one_name(experiments)
    members: dict[str, Member] = {}
    for path, experiment in experiments:
        plan = plan_experiment(experiment)
        lock = locks[experiment.name] if locks is not None else None
        stages = tuple(planned_identities(experiment, plan, lock))
        members[experiment.name] = Member(path, experiment, plan, stages)
    nodes: dict[str, StageNode] = {}
    for name, member in members.items():
        parent = None
        for stage, identity in zip(member.plan.stages, member.stages, strict=True):
            node = nodes.get(identity) or _node(member, stage, identity, parent)
            experiments_of = (*node.experiments, name)
            nodes[identity] = node._replace(experiments=experiments_of)
            parent = identity
    return StudyGraph(members=members, nodes=nodes)


def work_of(nodes: Iterable[StageNode]) -> Work:
    """Add up what stages come to."""
    found = list(nodes)
    return Work(
        stages=len(found),
        steps=sum(node.num_steps for node in found),
        tokens=sum(node.num_tokens for node in found),
        flops=sum(node.flops for node in found),
    )


def _node(
    member: Member, stage: PlannedStage, identity: str, parent: str | None
) -> StageNode:
    model = member.plan.model
    return StageNode(
        identity=identity,
        name=f"{member.name}/{stage.name}",
        parent=parent,
        start_step=stage.start_step,
        stop_step=stage.stop_step,
        num_tokens=stage.num_tokens,
        flops=stage.num_tokens * flops_per_token(model, stage.sequence_length),
        preset=member.experiment.model.preset,
        experiments=(),
    )


def _refuse_one_name(experiments: Sequence[tuple[Path, Experiment]]) -> None:
    first: dict[str, Path] = {}
    problems = []
    for path, experiment in experiments:
        if experiment.name in first:
            other = first[experiment.name]
            problems.append(
                Problem(
                    file=str(path),
                    path="name",
                    what=f"{experiment.name!r} is the name of an experiment in "
                    f"{other} too, and a study tells its experiments apart by name",
                    fix="give one of them another name",
                )
            )
        first.setdefault(experiment.name, path)
    if problems:
        raise SpecError(problems)
