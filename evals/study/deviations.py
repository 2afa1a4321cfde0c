"""How much a weighted sum of scores varies between seeds.

It is pooled over the points of the study that have several runs, since a recipe's
neighbours vary about as much as it does and two or three runs tell hardly anything of
their own deviation; where all points of a sum have five, each is taken at its own.
Which of the two is decided by how many runs there are, never by how they came out.
Points that are scores of the same runs, at several stages or by several experiments
that share one, go up and down together: they are taken together, seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from evals.study.evidence import Evidence
from evals.study.measured import Measured, Part

One = TypeVar("One")


OWN_DEGREES = 4
"""Degrees of freedom with which points are taken at their own deviations: t is 2.8
then, 2.0 if they were known. With fewer it soon is 4.3 or 12.7."""


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


class Varying(NamedTuple):
    """How much a point's part of a sum varies, or that of points of the same runs."""

    num_seeds: int
    deviation: Deviation


class OverSeeds(NamedTuple):
    """What is known of a sum from its runs."""

    varying: tuple[Varying, ...]
    pooled_degrees: int
    """Degrees of freedom of the deviation of the whole study."""
    is_own: bool
    """Whether each deviation is taken from these very runs, not all from the study."""

    def squares(self) -> list[Square]:
        """Return the parts of the square of the sum's standard error."""
        squares = [
            Square(one.deviation.variance / one.num_seeds, one.deviation.degrees)
            for one in self.varying
        ]
        if self.is_own:
            return squares
        # One estimate, used several times, has its degrees of freedom once.
        total = math.fsum(one.value for one in squares)
        return [Square(total, self.pooled_degrees)]

    def squares_with(self, num_seeds: int) -> list[Square]:
        """Return the same if each point had so many seeds, varying as they do.

        What they would add to the pooled deviation is counted where they are all there
        is in it: too little, rather than too much, where other points have some.
        """
        squares = [one.deviation.variance / num_seeds for one in self.varying]
        if num_seeds > OWN_DEGREES:
            return [Square(one, num_seeds - 1) for one in squares]
        added = len(squares) * (num_seeds - 1)
        return [Square(math.fsum(squares), max(self.pooled_degrees, added))]


class Deviations:
    """How much the scores of a study vary between seeds."""

    def __init__(self, evidence: Evidence) -> None:
        """Pool what all points tell, score by score."""
        by_score: dict[str, list[Measured]] = {}
        for found in evidence.found.values():
            if isinstance(found, Measured) and len(found.runs) > 1:
                by_score.setdefault(found.score, []).append(found)
        self._pooled = {score: _pool(found) for score, found in by_score.items()}

    def of(self, parts: Sequence[Part]) -> OverSeeds | None:
        """Return how much a weighted sum varies; None: nothing is known of seeds."""
        whole = self._pooled_of(parts)
        if whole is None:
            return None
        groups = _together(parts, lambda part: part.measured.origins)
        enough = min(OWN_DEGREES, whole.degrees)
        own = [_own_deviation(group) for group in groups]
        chosen = [one for one in own if one is not None and one.degrees >= enough]
        is_own = len(chosen) == len(groups)
        if not is_own:
            pooled = map(self._pooled_of, groups)
            chosen = [one for one in pooled if one is not None]
        numbers = [min(len(part.measured.runs) for part in group) for group in groups]
        varying = map(Varying, numbers, chosen)
        return OverSeeds(tuple(varying), whole.degrees, is_own)

    def _pooled_of(self, parts: Sequence[Part]) -> Deviation | None:
        weights: dict[str, list[float]] = {}
        for part in parts:
            weights.setdefault(part.measured.score, []).append(part.weight)
        pooled = {score: self._pooled.get(score) for score in weights}
        known = {score: one for score, one in pooled.items() if one is not None}
        if not known or len(known) < len(pooled):
            return None
        # The worst cases: stages of a run may have all in common, or nothing; a seed
        # that is good at one thing may be good at another, or bad.
        worst = {
            score: max(abs(math.fsum(some)), math.hypot(*some))
            for score, some in weights.items()
        }
        return Deviation(
            math.fsum(worst[score] * one.value for score, one in known.items()),
            min(one.degrees for one in known.values()),
        )


def _own_deviation(parts: Sequence[Part]) -> Deviation | None:
    """Return how much a sum of scores of the same runs varies between the seeds."""
    runs = [{run.seed: run.value for run in one.measured.runs} for one in parts]
    shared = sorted(set.intersection(*(set(one) for one in runs)))
    if len(shared) < 2:
        return None
    values = [
        math.fsum(
            part.weight * one[seed] for part, one in zip(parts, runs, strict=True)
        )
        for seed in shared
    ]
    return Deviation(math.sqrt(_variance_of(values)), len(values) - 1)


def _pool(found: Iterable[Measured]) -> Deviation:
    """Pool variances; points of the same runs count as one."""
    pooled = []
    for group in _together(found, lambda one: one.origins):
        squares = [_variance_of([run.value for run in one.runs]) for one in group]
        degrees = max(len(one.runs) for one in group) - 1
        pooled.append((math.fsum(squares) / len(squares), degrees))
    degrees = sum(own for _, own in pooled)
    total = math.fsum(square * own for square, own in pooled)
    return Deviation(math.sqrt(total / degrees), degrees)


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
