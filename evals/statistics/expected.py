"""What evaluations will be able to show, from their declarations alone."""

from __future__ import annotations

from collections.abc import Mapping

from evals.statistics.macro import error_of_average, variance_shares
from evals.statistics.power import (
    CORRELATION,
    detectable_effect,
    error_of_difference,
    expected_error,
)
from specs.base import Value
from specs.task import Suite, Task


class ExpectedError(Value):
    """The error of a score, and the least difference that would be seen. Shares."""

    standard_error: float | None
    """The largest that the questions allow, at half of them right; null where their
    number isn't declared."""
    unpaired: float | None
    """Least true difference of two models that would be seen in 4 of 5 tries if each
    answered other questions."""
    paired: float | None
    """The same where both answer the same questions, with a correlation of 0.7."""


class ExpectedTask(ExpectedError):
    """One task."""

    questions: int | None
    """Null where their number isn't declared."""
    chance: float
    """What guessing scores."""
    cluster: str | None
    """Field whose equal values make questions depend on each other: the error is
    larger, by how much is known when they are read."""


class ExpectedSuite(ExpectedError):
    """The macro average of one suite."""

    variance_shares: dict[str, float]
    """Task -> its share of the variance of the average; empty where unknown."""


class ExpectedScores(Value):
    """All that is scored with benchmarks."""

    tasks: dict[str, ExpectedTask]
    suites: dict[str, ExpectedSuite]


def expected_scores(
    tasks: Mapping[str, Task], suites: Mapping[str, Suite]
) -> ExpectedScores:
    """Say how sure scores will be before any compute is spent.

    Args:
        tasks: Name -> every task that is scored.
        suites: Name -> suites whose tasks are all among them.
    """
    expected = {name: expected_task(task) for name, task in tasks.items()}
    return ExpectedScores(
        tasks=expected,
        suites={
            name: expected_suite({one: expected[one] for one in suite.tasks})
            for name, suite in suites.items()
        },
    )


def expected_task(task: Task) -> ExpectedTask:
    """Say how sure the score of a task will be."""
    count = task.data.rows
    if count is not None and task.limit is not None:
        count = min(count, task.limit)
    error = None if count is None else expected_error(count)
    # A win rate is a comparison of two models already: there is nothing to subtract.
    return ExpectedTask(
        **_detectable(error, is_comparison=task.way == "reply"),
        questions=count,
        chance=task.chance,
        cluster=task.cluster,
    )


def expected_suite(tasks: Mapping[str, ExpectedTask]) -> ExpectedSuite:
    """Say how sure the macro average of some tasks will be."""
    errors = {name: one.standard_error for name, one in tasks.items()}
    is_comparison = any(one.paired is None for one in tasks.values())
    return ExpectedSuite(
        **_detectable(error_of_average(list(errors.values())), is_comparison),
        variance_shares=variance_shares(errors),
    )


def _detectable(error: float | None, is_comparison: bool) -> dict[str, float | None]:
    if error is None or is_comparison:
        return {"standard_error": error, "unpaired": None, "paired": None}
    return {
        "standard_error": error,
        "unpaired": detectable_effect(error_of_difference(error)),
        "paired": detectable_effect(error_of_difference(error, CORRELATION)),
    }
