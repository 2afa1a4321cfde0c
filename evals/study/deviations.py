"""How much a weighted sum of scores varies between seeds.

It is taken from a point's own runs, and where it has but one, pooled from the points of
the study that have several, since a recipe's neighbours vary about as much as it does.
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


class Deviation(NamedTuple):
    """Between the seeds of one recipe."""

    value: float
    degrees: int

    @property
    def variance(self) -> float:
        """Its square, rounded alike in every unit, as a power is not."""
        return self.value * self.value


class OverSeeds(NamedTuple):
    """What is known of a sum from its runs."""

    deviations: tuple[tuple[int, Deviation], ...]
    """Per point, or points of the same runs: the number of seeds, and how much its part
    of the sum varies between them."""
    is_pooled: bool
    """Whether one estimate stands for the deviations of all points."""


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
        groups = _together(parts, lambda part: part.measured.origins)
        own = [_own_deviation(group) for group in groups]
        is_pooled = None in own
        chosen = [self._pooled_of(one) for one in groups] if is_pooled else own
        known = [one for one in chosen if one is not None]
        if not parts or len(known) < len(groups):
            return None
        numbers = [min(len(part.measured.runs) for part in group) for group in groups]
        return OverSeeds(tuple(zip(numbers, known, strict=True)), is_pooled)

    def _pooled_of(self, parts: Sequence[Part]) -> Deviation | None:
        weights: dict[str, list[float]] = {}
        for part in parts:
            weights.setdefault(part.measured.score, []).append(part.weight)
        pooled = {score: self._pooled.get(score) for score in weights}
        known = {score: one for score, one in pooled.items() if one is not None}
        if len(known) < len(pooled):
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
