"""A study that was loaded: its file and its experiments, and what follows from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from specs.experiment import Experiment
from specs.study import Claim, Cost, ExpectedRow, Figure, Point, StudyFile, StudyScore
from specs.study_rules import repeats_of

Members = tuple[tuple[Path, Experiment], ...]


class StudyPoint(NamedTuple):
    """Weights that a study speaks of: those at a stage's end, once per seed."""

    name: str
    label: str
    experiments: tuple[str, ...]
    """Names of the experiments; several are repeats with other seeds."""
    stage: str
    """Name of the stage."""
    stage_index: int
    """Counted from 0."""


class ExpectedValue(NamedTuple):
    """One result that was published."""

    point: str
    score: str
    value: float
    kind: str
    source: str
    reading_error: float
    note: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study with its experiments."""

    path: Path
    """Its folder, or its only spec, as the user named it."""
    file: StudyFile
    """What its file says, with points and scores made where it leaves them out."""
    experiments: Members
    """With the spec file of each, in order."""

    @property
    def name(self) -> str:
        """For people, and for folders."""
        return self.file.name

    @property
    def scores(self) -> Mapping[str, StudyScore]:
        """What is looked at, by name."""
        return self.file.scores

    @property
    def points(self) -> dict[str, StudyPoint]:
        """Which weights, by name."""
        found = [one for _, one in self.experiments]
        return {
            name: _study_point(name, point, found)
            for name, point in self.file.points.items()
        }

    @property
    def expected(self) -> tuple[ExpectedValue, ...]:
        """Published results, one by one."""
        return tuple(one for row in self.file.expected for one in _expected_values(row))

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What should be found."""
        return self.file.claims

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What the report shows; none: what suits the points."""
        return self.file.figures

    @property
    def baseline(self) -> str | None:
        """The point that others are compared with."""
        return self.file.baseline

    @property
    def cost(self) -> Cost | None:
        """What chip-hours are computed with."""
        return self.file.cost


def _study_point(
    name: str, point: Point, experiments: Sequence[Experiment]
) -> StudyPoint:
    repeats = repeats_of(point.experiment, experiments)
    stages = [stage.name for stage in repeats[0].stages]
    stage = point.after or stages[-1]
    return StudyPoint(
        name=name,
        label=point.label or name,
        experiments=tuple(one.name for one in repeats),
        stage=stage,
        stage_index=stages.index(stage),
    )


def _expected_values(row: ExpectedRow) -> Iterator[ExpectedValue]:
    for score, value in row.values.items():
        yield ExpectedValue(
            row.point, score, value, row.kind, row.source, row.reading_error, row.note
        )
