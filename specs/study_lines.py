"""Which points of a study go on from which: the lines of a figure of stages.

That is told by the stages' identities, not by names: a run and the run that cools it
down may be two experiments, and the second goes on from the first all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from specs.study_graph import StudyGraph
from specs.study_loaded import StudyPoint


def stage_lines(
    names: Sequence[str], points: Mapping[str, StudyPoint], graph: StudyGraph
) -> tuple[tuple[str, ...], ...]:
    """Join points along the runs that lead through them.

    Args:
        names: Points of a figure.
        points: Of the study, by name.
        graph: Of the study.

    Returns:
        A line for each point that no other goes on from: the points before it, first
        stage first, and itself; in the order of `names`. Where runs part, what they
        have in common is on each of their lines.
    """
    at = {name: _identity(points[name], graph) for name in names}
    passed = {
        above
        for name in names
        for above in _above(at[name], graph)
        if above != at[name]
    }
    ends = [name for name in names if at[name] not in passed]
    return tuple(_line(end, at, graph) for end in ends)


def _line(end: str, at: Mapping[str, str], graph: StudyGraph) -> tuple[str, ...]:
    way = list(_above(at[end], graph))
    before = [name for name in at if at[name] in way[1:]]
    # Farthest from the end is first on the way there.
    return (*sorted(before, key=lambda name: -way.index(at[name])), end)


def _identity(point: StudyPoint, graph: StudyGraph) -> str:
    """Return the stage that a point is the end of; of repeats that of the first."""
    return graph.members[point.experiments[0]].stages[point.stage_index]


def _above(identity: str, graph: StudyGraph) -> Iterator[str]:
    """Yield a stage, the one that it goes on from, and so on."""
    found: str | None = identity
    while found is not None:
        yield found
        found = graph.nodes[found].parent
