"""How much of a weighted sum's error comes of its questions, and how much of both.

Every task that the sum has is taken question by question, over the same questions of
all points: what all of them find hard cancels out. A task that stands in several of the
scores is one task. Different tasks are independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from evals.statistics.means import cluster_codes, error_of_mean
from evals.study.measured import Answers, NotKnown, Part


class OverQuestions(NamedTuple):
    """What is known of a sum from its results per question."""

    error: float
    """Standard error over questions."""
    left_over: float
    """The part of it that is of the seeds as well: a seed that fares better on some
    questions. 0 where single runs leave it unknown."""
    degrees: int
    """Of freedom."""


class _Weighted(NamedTuple):
    share: float
    part: Part
    answers: Answers


def over_questions(parts: Sequence[Part]) -> OverQuestions | None:
    """Return the error of a weighted sum over questions; None: it is not known.

    Raises:
        NotKnown: Two points were asked one of the scores differently.
    """
    _check_asked_alike(parts)
    if not parts or any(not part.measured.tasks for part in parts):
        return None
    tasks: dict[tuple[str, str], list[_Weighted]] = defaultdict(list)
    for part in parts:
        for task, answers in part.measured.tasks.items():
            share = part.weight / len(part.measured.tasks)
            tasks[task, answers.fingerprint].append(_Weighted(share, part, answers))
    errors, left_over, degrees = [], [], 0
    for (task, _), asked in tasks.items():
        codes, sums = _question_sums(task, asked)
        error = error_of_mean(sums, codes)
        if error is None:
            return None
        errors.append(error)
        left_over += _left_over(asked)
        degrees += max(codes)
    return OverQuestions(math.hypot(*errors), math.hypot(*left_over), degrees)


def _check_asked_alike(parts: Sequence[Part]) -> None:
    asked: dict[str, Part] = {}
    for part in parts:
        first = asked.setdefault(part.measured.score, part)
        ours, theirs = part.measured.tasks, first.measured.tasks
        if not ours or not theirs:
            continue
        points = f"{first.measured.point} and {part.measured.point} were asked"
        for task in dict.fromkeys([*theirs, *ours]):
            if task not in ours or task not in theirs:
                raise NotKnown(f"{points} other tasks of {part.measured.score}: {task}")
            if ours[task].fingerprint != theirs[task].fingerprint:
                raise NotKnown(f"{points} {task} differently")


def _question_sums(
    task: str, asked: Sequence[_Weighted]
) -> tuple[list[int], list[float]]:
    """Return the cluster and the weighted sum of each question that all have."""
    first = asked[0].answers
    columns = [_column(one) for one in asked]
    if first.ids and all(one.answers.ids == first.ids for one in asked):
        return first.codes, list(map(math.fsum, zip(*columns, strict=True)))
    by_id = [
        dict(zip(one.answers.ids, column, strict=True))
        for one, column in zip(asked, columns, strict=True)
    ]
    clusters, sums = [], []
    for question, cluster in zip(first.ids, first.clusters, strict=True):
        if all(question in column for column in by_id):
            clusters.append(cluster)
            sums.append(math.fsum(column[question] for column in by_id))
    if not sums:
        raise NotKnown(f"no question of {task} has been answered by all")
    return cluster_codes(clusters), sums


def _column(one: _Weighted) -> list[float]:
    num_runs = len(one.answers.rows)
    return [one.share * total / num_runs for total in one.answers.totals]


def _left_over(asked: Sequence[_Weighted]) -> list[float]:
    """Return what each point's answers leave over between seeds and questions."""
    found = []
    for index, one in enumerate(asked):
        others = [*asked[:index], *asked[index + 1 :]]
        # Of the same runs it may cancel out in the sum, so there it's left in both.
        is_alone = not any(
            one.part.measured.origins & other.part.measured.origins for other in others
        )
        if is_alone and len(one.answers.rows) > 1:
            found.append(one.share * one.answers.left_over)
    return found
