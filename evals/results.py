"""What a task gave: one result per question, which all statistics are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specs.base import Value


class QuestionResult(Value):
    """What one question came to."""

    id: str
    """Index of its row among all rows of the pinned file, as text: equal in every
    evaluation of the same data."""

    values: dict[str, float]
    """Metric -> its value here: 0 or 1, or a share such as pass@1 of many samples."""

    cluster: str | None = None
    """Questions of one cluster depend on each other; null: it stands alone."""

    output: dict[str, Any]
    """What the model said: log-likelihoods, texts, verdicts."""


class TaskResult(Value):
    """What one task gave for one set of weights."""

    task: str
    """Its name."""

    fingerprint: str
    """Digest over all that can change its numbers."""

    main: str
    """The metric that stands for it in averages."""

    chance: float
    """What guessing scores in that metric."""

    questions: tuple[QuestionResult, ...]
    """In the order of their rows."""


def result_in(detail: Mapping[str, Any]) -> TaskResult:
    """Read the result out of the detail of a task's score; more stands beside it."""
    return TaskResult.model_validate(
        {name: detail[name] for name in TaskResult.model_fields}
    )
