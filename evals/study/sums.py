"""Weighted sums of a study's scores, with their errors: what claims come down to.

    sum = c1 * a.reasoning + c2 * b.reasoning + ... + constant

Two things make it uncertain. The *questions* are a sample: the sum is taken question by
question first, so that what all points find hard cancels out. The *seeds* are one draw
each: the deviation between seeds is taken from a point's own runs, and where it has but
one, pooled from the points of the study that have several, since a recipe's neighbours
vary about as much as it does. Where no point has a second seed, nothing is known of
seeds, and the sum speaks of these very runs alone. Both are added in squares; what a
seed fares better at on some questions is in both, so the error is rather too large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from evals.statistics.macro import satterthwaite
from evals.statistics.means import cluster_codes, error_of_mean
from evals.study.evidence import Evidence
from evals.study.measured import Measured
from ledger.student import student_quantile
from specs.claims import Cell
from specs.study import StudyScore

Basis = Literal["recipes", "runs"]
"""What a number speaks of: `recipes` where the deviation between seeds is known, `runs`
where it is not."""

MAX_SEEDS = 1000


class NotKnown(Exception):
    """A sum can't be taken; says why."""


class Part(NamedTuple):
    """A score with its weight."""

    weight: float
    measured: Measured


class Deviation(NamedTuple):
    """Between the seeds of one recipe."""

    value: float
    degrees: int


@dataclass(frozen=True)
class Sum:
    """A weighted sum of scores."""

    value: float
    over_questions: float | None
    """Standard error; None where nothing was recorded per question."""
    over_seeds: float | None
    """Standard error; None where nothing is known of seeds."""
    degrees: int | None
    """Of freedom, of both together; None where neither is known."""
    seeds: tuple[tuple[int, Deviation], ...]
    """Per point: its seeds, and how much its part of the sum varies between them."""
    is_pooled: bool
    """Whether one estimate stands for the deviations of all points."""
    question_degrees: int

    @property
    def basis(self) -> Basis:
        """What it speaks of."""
        return "runs" if self.over_seeds is None else "recipes"

    @property
    def error(self) -> float | None:
        """Standard error of what it speaks of; None: unknown."""
        known = [
            one for one in (self.over_questions, self.over_seeds) if one is not None
        ]
        return math.hypot(*known) if known else None

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return where the sum lies with so much confidence, by Student's t."""
        if self.error is None or self.degrees is None:
            return None
        reach = self.error * student_quantile((1 + confidence) / 2, self.degrees)
        return self.value - reach, self.value + reach

    def seeds_to_decide(self, confidence: float) -> int | None:
        """Return how many seeds of each point would tell the sum from 0.

        As it is, with as much deviation between seeds. None: nothing is known of seeds,
        or no number of them would do since the questions are too few.
        """
        if self.over_seeds is None or not self.seeds or self.value == 0:
            return None
        square = math.fsum(one.value**2 for _, one in self.seeds)
        questions = self.over_questions or 0.0

        def is_enough(number: int) -> bool:
            # With so many seeds each point has a deviation of its own.
            parts = [(one.value**2 / number, number - 1) for _, one in self.seeds]
            if questions:
                parts.append((questions**2, self.question_degrees))
            error = math.sqrt(square / number + questions**2)
            degrees = satterthwaite(parts)
            return abs(self.value) > error * student_quantile(
                (1 + confidence) / 2, degrees
            )

        if not is_enough(MAX_SEEDS):
            return None
        low, high = 1, MAX_SEEDS
        while high - low > 1:  # more seeds never tell less
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return high


class Summing:
    """Takes sums of the scores of one study."""

    def __init__(self, evidence: Evidence) -> None:
        """Look at how much seeds deviate, score by score."""
        self._evidence = evidence
        self._deviations = _pooled(evidence)

    def sum_of(self, cells: Iterable[tuple[float, Cell]], constant: float = 0.0) -> Sum:
        """Take a weighted sum.

        Args:
            cells: Weight and score of a point; a score may be a mean of others.
            constant: Added.

        Raises:
            NotKnown: A score is not known, or was asked differently of two points.
        """
        parts = list(self._parts(cells))
        over_questions, question_degrees = _over_questions(parts)
        seeds, is_pooled = self._seeds(parts)
        squares = [(one.value**2 / number, one.degrees) for number, one in seeds]
        total = math.fsum(square for square, _ in squares)
        if is_pooled:
            # One estimate, used several times, has its degrees of freedom once.
            squares = [(total, min(degrees for _, degrees in squares))]
        if over_questions is not None:
            squares.append((over_questions**2, question_degrees))
        squares = [one for one in squares if one[0] > 0]
        value = math.fsum(part.weight * part.measured.value for part in parts)
        return Sum(
            value=value + constant,
            over_questions=over_questions,
            over_seeds=math.sqrt(total) if seeds else None,
            degrees=satterthwaite(squares) if squares else None,
            seeds=tuple(seeds),
            is_pooled=is_pooled,
            question_degrees=question_degrees,
        )

    def _parts(self, cells: Iterable[tuple[float, Cell]]) -> Iterable[Part]:
        """Take means apart, and add up what is the same score of the same point."""
        weights: dict[tuple[str, str], float] = {}
        for weight, cell in cells:
            for share, leaf in leaves(cell.score, self._evidence.study.scores):
                place = cell.point, leaf
                weights[place] = weights.get(place, 0.0) + weight * share
        for (point, score), weight in weights.items():
            found = self._evidence.found[point, score]
            if not isinstance(found, Measured):
                raise NotKnown(f"{point}.{score}: {found.why}")
            if weight:
                yield Part(weight, found)

    def _seeds(self, parts: Sequence[Part]) -> tuple[list[tuple[int, Deviation]], bool]:
        """Return per point its seeds and its deviation, and whether that is pooled."""
        points = [
            [part for part in parts if part.measured.point == point]
            for point in dict.fromkeys(part.measured.point for part in parts)
        ]
        numbers = [min(len(one.measured.runs) for one in own) for own in points]
        own = [_own_deviation(one) for one in points]
        is_pooled = None in own
        chosen = [self._pooled_deviation(one) for one in points] if is_pooled else own
        known = [one for one in chosen if one is not None]
        if len(known) < len(points):
            return [], False
        return list(zip(numbers, known, strict=True)), is_pooled

    def _pooled_deviation(self, parts: Sequence[Part]) -> Deviation | None:
        pooled = [self._deviations.get(one.measured.score) for one in parts]
        known = [one for one in pooled if one is not None]
        if len(known) < len(pooled):
            return None
        # A seed that is good at one thing may be good at another: the worst case.
        return Deviation(
            math.fsum(
                abs(part.weight) * one.value
                for part, one in zip(parts, known, strict=True)
            ),
            min(one.degrees for one in known),
        )


def _own_deviation(parts: Sequence[Part]) -> Deviation | None:
    """Return how much the part of one point varies between its own seeds."""
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
    return Deviation(_deviation_of(values), len(values) - 1)


def leaves(name: str, scores: Mapping[str, StudyScore]) -> list[tuple[float, str]]:
    """Return the scores that a score is the mean of, with their shares."""
    score = scores[name]
    if not score.mean:
        return [(1.0, name)]
    return [
        (share / len(score.mean), leaf)
        for one in score.mean
        for share, leaf in leaves(one, scores)
    ]


def _pooled(evidence: Evidence) -> dict[str, Deviation]:
    """Return score -> its deviation between seeds, over all points with several."""
    squares: dict[str, dict[frozenset[str], list[float]]] = {}
    for measured in evidence.found.values():
        if isinstance(measured, Measured) and len(measured.runs) > 1:
            deviation = _deviation_of([run.value for run in measured.runs])
            runs = frozenset(run.entry for run in measured.runs)
            of_score = squares.setdefault(measured.score, {})
            of_score.setdefault(runs, []).append(deviation**2)
    return {score: _pool(found) for score, found in squares.items()}


def _pool(found: Mapping[frozenset[str], Sequence[float]]) -> Deviation:
    """Pool variances; points of the same runs, at other stages, count as one."""
    degrees = sum(len(runs) - 1 for runs in found)
    total = math.fsum(
        math.fsum(squares) / len(squares) * (len(runs) - 1)
        for runs, squares in found.items()
    )
    return Deviation(math.sqrt(total / degrees), degrees)


def _deviation_of(values: Sequence[float]) -> float:
    middle = math.fsum(values) / len(values)
    squares = math.fsum((value - middle) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1))


def _over_questions(parts: Sequence[Part]) -> tuple[float | None, int]:
    """Return the standard error over questions, and its degrees of freedom.

    Raises:
        NotKnown: Two points were asked a task differently.
    """
    if any(not part.measured.tasks for part in parts):
        return None, 0
    errors, degrees = [], 0
    for score, task in dict.fromkeys(
        (part.measured.score, task) for part in parts for task in part.measured.tasks
    ):
        asked = [part for part in parts if part.measured.score == score]
        codes, sums = _question_sums(asked, task)
        error = error_of_mean(sums, codes)
        if error is None:
            return None, 0
        errors.append(error)
        degrees += max(codes)
    return math.hypot(*errors), degrees


def _question_sums(parts: Sequence[Part], task: str) -> tuple[list[int], list[float]]:
    """Return the cluster and the weighted sum of each question of a task."""
    answers = [part.measured.tasks[task] for part in parts]
    if len({one.fingerprint for one in answers}) > 1:
        points = " and ".join(part.measured.point for part in parts)
        raise NotKnown(f"{points} were asked {task} differently")
    shares = [part.weight / len(part.measured.tasks) for part in parts]
    sums = [
        math.fsum(
            share * math.fsum(row[index] for row in one.rows) / len(one.rows)
            for share, one in zip(shares, answers, strict=True)
        )
        for index in range(len(answers[0].clusters))
    ]
    return cluster_codes(answers[0].clusters), sums
