"""The graph of a study in the form of a lineage: who will train what."""

from __future__ import annotations

from pathlib import Path

from ledger.lineage import Lineage, Run, StageSpan
from ledger.lineage_svg import write_svg
from specs.study_graph import Member, StudyGraph
from specs.study_jobs import jobs_of


def draw_study(graph: StudyGraph, name: str, path: Path) -> None:
    """Draw who will train what.

    Args:
        graph: The study.
        name: Of the study.
        path: The SVG file.

    Raises:
        InputError: It can't be written.
    """
    write_svg(planned_lineage(graph), path, f"Study {name}, as planned")


def planned_lineage(graph: StudyGraph) -> Lineage:
    """Return the lineage that the runs of a study will have.

    Experiments stand for runs; their spec digests, told apart by name, for entries.
    """
    trainers = {
        identity: _key(graph.members[job.experiment])
        for job in jobs_of(graph).values()
        for identity in job.stages
    }
    runs = [_run(member, trainers) for member in graph.members.values()]
    return Lineage(shown="", runs={run.digest: run for run in runs}, missing=())


def _key(member: Member) -> str:
    return f"{member.plan.spec_digest} {member.name}"


def _run(member: Member, trainers: dict[str, str]) -> Run:
    own = _key(member)
    spans = [
        StageSpan(
            name=stage.name,
            start_step=stage.start_step,
            stop_step=stage.stop_step,
            reused_from=None if trainers[identity] == own else trainers[identity],
        )
        for stage, identity in zip(member.plan.stages, member.stages, strict=True)
    ]
    return Run(
        digest=own,
        name=member.name,
        outcome="completed",
        recording="",
        stages=tuple(spans),
        fork=None,
        replays=(),
    )
