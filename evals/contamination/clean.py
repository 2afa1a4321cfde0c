"""Scores with and without the questions that were in the training text."""

from __future__ import annotations

from collections.abc import Iterable

from evals.contamination.report import TaskOverlap
from evals.results import QuestionResult, TaskResult
from evals.statistics.means import Estimate, estimate
from specs.base import Value


class CleanScores(Value):
    """One metric of one task, by what was found of its questions.

    Every question is in exactly one of `overlapping`, `common`, `clean` and
    `too_short`. Where there is none of a kind, its estimate is null.
    """

    task: str
    metric: str
    all: Estimate
    overlapping: Estimate | None
    """Questions of which more than common words were found."""
    common: Estimate | None
    """Questions of which common words alone were found."""
    too_short: Estimate | None
    """Questions that could not be looked for: neither clean nor overlapping."""
    clean: Estimate | None
    """Questions of which nothing was found."""
    clean_but_common: Estimate | None
    """`clean` and `common` together, where common words are no reason to doubt."""


def clean_scores(
    result: TaskResult, overlap: TaskOverlap, *, metric: str | None = None
) -> CleanScores:
    """Split a task's scores by what was found of its questions.

    Args:
        result: Of the task, or of some of its questions.
        overlap: What was found of the same task and the same pinned rows.
        metric: Which; null: the one that stands for the task.
    """
    assert result.task == overlap.task, f"{result.task} is not {overlap.task}"
    name = metric or result.main
    found = {one.question: one for one in overlap.overlaps if one.is_found}
    too_short = set(overlap.too_short)
    kinds: dict[str, list[QuestionResult]] = {}
    for question in result.questions:
        kind = "too_short" if question.id in too_short else "clean"
        if question.id in found:
            kind = "common" if found[question.id].is_common else "overlapping"
        kinds.setdefault(kind, []).append(question)
    clean = kinds.get("clean", [])
    common = kinds.get("common", [])
    whole = _estimated(result.questions, name)
    assert whole is not None, "a result has questions"
    return CleanScores(
        task=result.task,
        metric=name,
        all=whole,
        overlapping=_estimated(kinds.get("overlapping", ()), name),
        common=_estimated(common, name),
        too_short=_estimated(kinds.get("too_short", ()), name),
        clean=_estimated(clean, name),
        clean_but_common=_estimated([*clean, *common], name),
    )


def _estimated(questions: Iterable[QuestionResult], metric: str) -> Estimate | None:
    chosen = list(questions)
    if not chosen:
        return None
    values = [question.values[metric] for question in chosen]
    return estimate(values, [question.cluster for question in chosen])
