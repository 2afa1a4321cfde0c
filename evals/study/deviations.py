"""How much a weighted sum of scores varies between seeds.

It is pooled over the points of the study that have several runs, since a recipe's
neighbours vary about as much as it does and two or three runs tell hardly anything of
their own deviation; where all points of a sum have five, each is taken at its own.
Which of the two is decided by how many runs there are, never by how they came out.

Points that are scores of the same runs, at several stages or by several experiments
that share one, go up and down together: they are taken together. Where a sum has no
others, it is known seed by seed, and three runs are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from evals.study.evidence import Evidence
from evals.study.measured import Measured, Part

One = TypeVar("One")

OWN_DEGREES = 4
"""Degrees of freedom with which points are taken at their own deviations: t is 2.8
then, 2.0 if they were known. With fewer it soon is 4.3 or 12.7."""

PAIRED_DEGREES = 2
"""The same for points of the same runs, which say more of their difference than other
points do."""

Shape = tuple[tuple[str, float], ...]
"""Scores of a point, with their weights in parts of the first one's."""


class Deviation(NamedTuple):
    """Between the seeds of one recipe."""

    value: float
    degrees: int

    @property
    def variance(self) -> float:
        """Its square, rounded alike in every unit, as a power is not."""
        return self.value * self.value


class Square(NamedTuple):
    """A part of the square of an error."""

    value: float
    degrees: int
    """Of freedom of its estimate."""


class OverSeeds(NamedTuple):
    """What is known of a sum from its runs."""

    parts: tuple[Square, ...]
    """Of the square of its standard error: a point's, or that of points of one run."""
    is_own: bool
    """Whether each is taken from these very runs, not all from the study."""
    with_one_seed: tuple[float, ...]
    """The same parts if each point had a single seed, as far as is known best."""
    enough: int
    """Degrees of freedom with which parts are taken from their own runs."""
    num_points: int
    """That would add to a deviation of the study if they had more seeds; at least."""
    max_seeds: int
    """That any point has."""

    def squares(self) -> list[Square]:
        """Return independent parts of the square of the sum's standard error."""
        if self.is_own:
            return list(self.parts)
        # One estimate, used several times, has its degrees of freedom once.
        return [Square(math.fsum(one.value for one in self.parts), self._least)]

    def squares_with(self, num_seeds: int) -> list[Square]:
        """Return the same if each point had so many seeds, varying as they do.

        What they would add to the pooled deviation is counted where they are all there
        is in it: too little, rather than too much, where other points have some.
        """
        squares = [one / num_seeds for one in self.with_one_seed]
        if num_seeds > self.enough:
            return [Square(one, num_seeds - 1) for one in squares]
        added = self.num_points * (num_seeds - 1)
        return [Square(math.fsum(squares), max(self._least, added))]

    @property
    def fewest_seeds(self) -> int:
        """How few `squares_with` may be asked for."""
        return self.enough + 1 if self.is_own else 2

    @property
    def _least(self) -> int:
        return min(one.degrees for one in self.parts)


class Deviations:
    """How much the scores of a study vary between seeds."""

    def __init__(self, evidence: Evidence) -> None:
        """Look at the points that have several runs."""
        self._points: dict[str, dict[str, Measured]] = {}
        for (point, score), found in evidence.found.items():
            if isinstance(found, Measured) and len(found.runs) > 1:
                self._points.setdefault(point, {})[score] = found
        self._pooled = cache(self._pool)

    def of(self, parts: Sequence[Part]) -> OverSeeds | None:
        """Return how much a weighted sum varies; None: nothing is known of seeds."""
        groups = _together(parts, lambda part: part.measured.origins)
        shaped = [_shapes(group) for group in groups]
        shapes = {shape for group in shaped for shape in group}
        pooled = {shape: self._pooled(shape) for shape in shapes}
        known = {shape: one for shape, one in pooled.items() if one is not None}
        if not known or len(known) < len(pooled):
            return None
        enough = OWN_DEGREES
        if len(groups) == 1 and len(_points_of(groups[0])) > 1:
            least = min(one.degrees for one in known.values())
            enough = min(PAIRED_DEGREES, least)
        own = [_own_deviation(group) for group in groups]
        is_own = all(one is not None and one.degrees >= enough for one in own)
        now, with_one_seed = [], []
        for group, mine, one in zip(groups, own, shaped, strict=True):
            borrowed = _bound(one, known, is_single=False)
            each = _bound(one, known, is_single=True).value
            if mine is not None and (is_own or len(_points_of(group)) > 1):
                each = mine.variance
            with_one_seed.append(each)
            if mine is not None and is_own:
                num_seeds = min(len(part.measured.runs) for part in group)
                now.append(Square(mine.variance / num_seeds, mine.degrees))
            else:
                now.append(borrowed)
        return OverSeeds(
            parts=tuple(now),
            is_own=is_own,
            with_one_seed=tuple(with_one_seed),
            enough=enough,
            num_points=min(sum(shape in one for one in shaped) for shape in shapes),
            max_seeds=max(len(part.measured.runs) for part in parts),
        )

    def _pool(self, shape: Shape) -> Deviation | None:
        """Pool variances of some scores taken together, over all points that can."""
        found = []
        for scores in self._points.values():
            if all(score in scores for score, _ in shape):
                parts = [Part(weight, scores[score]) for score, weight in shape]
                own = _own_deviation(parts)
                if own is not None:
                    origins = {name for part in parts for name in part.measured.origins}
                    found.append((origins, own))
        pooled = []
        # Points of the same runs count as one.
        for group in _together(found, lambda one: one[0]):
            weights = [own.degrees for _, own in group]
            squares = [own.variance * own.degrees for _, own in group]
            pooled.append((math.fsum(squares) / sum(weights), max(weights)))
        if not pooled:
            return None
        degrees = sum(own for _, own in pooled)
        total = math.fsum(square * own for square, own in pooled)
        return Deviation(math.sqrt(total / degrees), degrees)


def _points_of(parts: Sequence[Part]) -> set[str]:
    return {part.measured.point for part in parts}


def _shapes(parts: Sequence[Part]) -> dict[Shape, list[tuple[float, int]]]:
    """Return what is taken of each point: scores, weight of the first, and seeds."""
    by_point: dict[str, list[Part]] = {}
    for part in parts:
        by_point.setdefault(part.measured.point, []).append(part)
    shapes: dict[Shape, list[tuple[float, int]]] = {}
    for some in by_point.values():
        some.sort(key=lambda part: part.measured.score)
        first = some[0].weight
        # Rounded, so that what is alike but for rounding is alike.
        shape = tuple(
            (part.measured.score, round(part.weight / first, 12)) for part in some
        )
        num_seeds = min(len(part.measured.runs) for part in some)
        shapes.setdefault(shape, []).append((first, num_seeds))
    return shapes


def _bound(
    shapes: Mapping[Shape, Sequence[tuple[float, int]]],
    pooled: Mapping[Shape, Deviation],
    *,
    is_single: bool,
) -> Square:
    """Return the most that a sum over points of the same runs may vary.

    Points that go up and down together do so to a degree that is not known, from not at
    all to wholly. Of scores of several kinds it isn't even known in which direction.

    Args:
        shapes: What is taken of each.
        pooled: Deviation of each shape.
        is_single: As if each had a single seed.
    """
    reach = []
    for shape, taken in shapes.items():
        weights = [
            weight / math.sqrt(1 if is_single else num_seeds)
            for weight, num_seeds in taken
        ]
        up = math.fsum(one for one in weights if one > 0)
        down = math.fsum(one for one in weights if one < 0)
        reach.append(math.hypot(up, down) * pooled[shape].value)
    whole = math.fsum(reach)
    return Square(whole * whole, min(pooled[shape].degrees for shape in shapes))


def _own_deviation(parts: Sequence[Part]) -> Deviation | None:
    """Return how much a sum of scores of the same runs varies between the seeds.

    None: there are too few, or some have seeds that the others don't have.
    """
    runs = [{run.seed: run.value for run in one.measured.runs} for one in parts]
    if len(runs[0]) < 2 or any(one.keys() != runs[0].keys() for one in runs):
        return None
    values = [
        math.fsum(
            part.weight * one[seed] for part, one in zip(parts, runs, strict=True)
        )
        for seed in runs[0]
    ]
    return Deviation(math.sqrt(_variance_of(values)), len(values) - 1)


def _together(
    things: Iterable[One], origins_of: Callable[[One], set[str]]
) -> list[list[One]]:
    """Put together what has an origin in common."""
    groups: list[tuple[set[str], list[One]]] = []
    for thing in things:
        origins, members = origins_of(thing), [thing]
        apart = []
        for other in groups:
            if other[0] & origins:
                origins = origins | other[0]
                members = [*other[1], *members]
            else:
                apart.append(other)
        groups = [*apart, (origins, members)]
    return [members for _, members in groups]


def _variance_of(values: Sequence[float]) -> float:
    middle = math.fsum(values) / len(values)
    apart = [value - middle for value in values]
    return math.fsum(one * one for one in apart) / (len(values) - 1)
