"""Results per question of one task, as the ledger reads them: plain JSON.

    {"task", "fingerprint", "main", "chance", "questions": [{"id", "values",
     "cluster", "output"}]}, and whatever else the evaluation adds.

A metric that every question has a value of is the mean of these values. The mean is
`metric_mean`, everywhere, so a recorded number can be computed again to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.floats import float_text

Json = dict[str, Any]


def metric_mean(values: Sequence[float]) -> float:
    """Return the mean of a metric: the exact sum, rounded once, by their number.

    The order of the questions changes no bit of it.

    >>> metric_mean([1e16, 1.0, -1e16])
    0.3333333333333333
    """
    return math.fsum(values) / len(values)


def is_task_result(detail: object) -> bool:
    """Whether the detail of a score is a task's results per question."""
    return (
        isinstance(detail, dict)
        and isinstance(detail.get("questions"), list)
        and isinstance(detail.get("fingerprint"), str)
    )


def task_result_problems(
    detail: Json,
    *,
    task: str,
    fingerprint: str | None,
    values: Mapping[str, str],
    main: str | None = None,
) -> Iterator[str]:
    """Compare what a score says with its results per question.

    Args:
        detail: See `is_task_result`.
        task: What the score is called.
        fingerprint: That the results of the task must have; null: any.
        values: Of the score, as texts.
        main: The metric that stands for the task; null: any.

    Yields:
        What differs.
    """
    if fingerprint is not None and detail.get("task") != task:
        yield f"the results of {task} are those of task {detail.get('task')!r}"
    if fingerprint is not None and detail["fingerprint"] != fingerprint:
        yield f"the results of {task} have another fingerprint than was asked"
    questions = detail["questions"]
    ids = [question["id"] for question in questions]
    if len(set(ids)) != len(ids):
        yield f"the results of {task} have a question twice"
    names = {name for question in questions for name in question["values"]}
    for name in sorted(names):
        found = [question["values"].get(name) for question in questions]
        if None in found:
            lacking = ids[found.index(None)]
            yield f"question {lacking} of {task} has no {name}, others have"
            continue
        mean = float_text(metric_mean(found))
        said = values.get(name)
        if said != mean:
            yield f"{task}/{name} is {said}, its questions give {mean}"
    said = detail.get("main")
    if said is not None and said not in values:
        yield f"{task} has no {said}, which stands for it"
    if main is not None and said != main:
        yield f"{said} stands for {task} in its results, {main} where it was asked"


class QuestionDifference(NamedTuple):
    """The first thing in which two results of one task differ."""

    question: str | None
    """Its id; null where all questions are the same."""
    what: str


def first_difference(left: Json, right: Json) -> QuestionDifference | None:
    """Find the first question that two results of one task answer otherwise.

    Args:
        left: See `is_task_result`.
        right: Of the same fingerprint.

    Returns:
        Null where every question is the same, with what the model said.
    """
    for one, other in zip(left["questions"], right["questions"], strict=False):
        if one == other:
            continue
        if one["id"] != other["id"]:
            what = f"is question {one['id']} in one and {other['id']} in the other"
            return QuestionDifference(one["id"], what)
        for name in sorted({*one["values"], *other["values"]}):
            was, now = one["values"].get(name), other["values"].get(name)
            if was != now:
                return QuestionDifference(one["id"], f"{name} is {was} and {now}")
        return QuestionDifference(one["id"], "the model said something else")
    counts = len(left["questions"]), len(right["questions"])
    if counts[0] != counts[1]:
        return QuestionDifference(None, f"has {counts[0]} and {counts[1]} questions")
    return None
