"""Weighted sums of a study's scores, with their errors: what claims come down to.

    sum = c1 * a.reasoning + c2 * b.reasoning + ... + constant

Two things make it uncertain. The *questions* are a sample (`evals.study.questions`).
The *seeds* are one draw each (`evals.study.deviations`); where no point has a second
seed, nothing is known of them, and the sum speaks of these very runs alone. Both are
added in squares. A seed that fares better on some questions is in both, and is taken
out once; of a point with a single run it can't be told and stays in both, so that the
error is rather too large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from evals.statistics.macro import satterthwaite
from evals.statistics.seeds import combined_error
from evals.study.deviations import OWN_DEGREES, Deviations, OverSeeds
from evals.study.evidence import Evidence
from evals.study.measured import Measured, NotKnown, Part
from evals.study.questions import OverQuestions, over_questions
from ledger.student import student_quantile
from specs.claims import Cell
from specs.study import StudyScore

Basis = Literal["recipes", "runs"]
"""What a number speaks of: `recipes` where the deviation between seeds is known, `runs`
where it is not."""

MAX_SEEDS = 1000


@dataclass(frozen=True)
class Sum:
    """A weighted sum of scores."""

    value: float
    questions: OverQuestions | None
    """None where nothing was recorded per question."""
    seeds: OverSeeds | None
    """None where nothing is known of seeds."""

    @property
    def basis(self) -> Basis:
        """What it speaks of."""
        return "runs" if self.seeds is None else "recipes"

    @property
    def over_questions(self) -> float | None:
        """Standard error over questions."""
        return None if self.questions is None else self.questions.error

    @property
    def over_seeds(self) -> float | None:
        """Standard error over seeds."""
        if self.seeds is None:
            return None
        return math.sqrt(math.fsum(one.value for one in self.seeds.squares()))

    @property
    def error(self) -> float | None:
        """Standard error of what it speaks of; None: unknown."""
        if self.over_seeds is None or self.over_questions is None:
            return self.over_questions if self.seeds is None else self.over_seeds
        return combined_error(self.over_seeds, self.over_questions, self._left_over)

    @property
    def _left_over(self) -> float:
        return self.questions.left_over if self.questions and self.seeds else 0.0

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return where the sum lies with so much confidence, by Student's t.

        None: nothing tells, as where no two runs and no two questions differ.
        """
        error, degrees = self.error, self.degrees
        if not error or degrees is None:
            return None
        reach = error * student_quantile((1 + confidence) / 2, degrees)
        return self.value - reach, self.value + reach

    @property
    def degrees(self) -> int | None:
        """Degrees of freedom of the error; None where it is 0 or unknown."""
        error = self.error
        if not error:
            return None
        parts: list[tuple[float, int]] = []
        if self.seeds is not None:
            parts += self.seeds.squares()
        if self.questions is not None:
            parts.append((self.questions.error**2, self.questions.degrees))
        return satterthwaite(parts, error**2)

    def seeds_to_decide(self, confidence: float, power: float) -> int | None:
        """Return how many seeds of each point would tell the sum from 0.

        If it is what it is measured to be, with as much deviation between seeds.

        Args:
            confidence: Of the interval that shall leave 0 out.
            power: The chance that it does.

        Returns:
            None: nothing is known of seeds, or no number of them would do since the
            questions are too few.
        """
        if self.seeds is None or not self.error:
            return None
        seeds, questions = self.seeds, self.questions
        # What is of the seeds as well is less with more of them; the rest is not.
        both = self._left_over**2
        rest = max(0.0, (self.over_questions or 0.0) ** 2 - both)

        def is_enough(number: int) -> bool:
            parts: list[tuple[float, int]] = [*seeds.squares_with(number)]
            square = math.fsum(one for one, _ in parts)
            if questions is not None:
                asked = rest + both * seeds.max_seeds / number
                parts.append((asked, questions.degrees))
                square = max(square + rest, asked)
            if not square:
                return self.value != 0
            degrees = satterthwaite(parts, square)
            reach = student_quantile((1 + confidence) / 2, degrees)
            needed = reach + student_quantile(power, degrees)
            return abs(self.value) >= math.sqrt(square) * needed

        # The fewest are taken at the deviation of the study, so that a few more with
        # their own may tell a little less: these are asked one by one.
        for number in range(seeds.fewest_seeds, OWN_DEGREES + 2):
            if is_enough(number):
                return number
        if not is_enough(MAX_SEEDS):
            return None
        low, high = OWN_DEGREES + 1, MAX_SEEDS
        # With some four questions more seeds can tell a little less: never mind.
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return high


class Summing:
    """Takes sums of the scores of one study."""

    def __init__(self, evidence: Evidence) -> None:
        """Look at how much seeds deviate, score by score."""
        self._evidence = evidence
        self._deviations = Deviations(evidence)

    def sum_of(self, cells: Iterable[tuple[float, Cell]], constant: float = 0.0) -> Sum:
        """Take a weighted sum.

        Args:
            cells: Weight and score of a point; a score may be a mean of others.
            constant: Added.

        Raises:
            NotKnown: A score is not known, or was asked differently of two points.
        """
        parts = list(self._parts(cells))
        value = math.fsum(part.weight * part.measured.value for part in parts)
        return Sum(
            value=value + constant,
            questions=over_questions(parts),
            seeds=self._deviations.of(parts),
        )

    def _parts(self, cells: Iterable[tuple[float, Cell]]) -> Iterator[Part]:
        """Take means apart, and add up what is the same score of the same point."""
        weights: dict[tuple[str, str], list[float]] = {}
        for weight, cell in cells:
            for share, leaf in leaves(cell.score, self._evidence.study.scores):
                weights.setdefault((cell.point, leaf), []).append(weight * share)
        for (point, score), shares in weights.items():
            found = self._evidence.found[point, score]
            if not isinstance(found, Measured):
                raise NotKnown(f"{point}.{score}: {found.why}")
            weight = math.fsum(shares)
            if weight:
                yield Part(weight, found)


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
