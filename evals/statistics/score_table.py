"""Scores as a table: every number with its standard error, interval and questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evals.results import TaskResult, result_in
from evals.statistics.macro import MacroAverage, chance_corrected, macro_average
from evals.statistics.means import Estimate, estimate
from ledger.task_results import is_task_result
from runtime.scoring import Score
from specs.base import Value
from specs.benchmarks import Asked


class ScoreRow(Estimate):
    """One metric of one task."""

    task: str
    metric: str
    is_main: bool
    """Whether it stands for the task in averages."""
    chance: float | None
    """What guessing scores; of the main metric alone."""


class AverageRow(MacroAverage):
    """The average of one suite."""

    suite: str
    over_chance: MacroAverage
    """The same with each task on a scale where guessing is 0 and all right is 1."""


class ScoreTable(Value):
    """What some tasks gave for one set of weights."""

    scores: tuple[ScoreRow, ...]
    averages: tuple[AverageRow, ...]
    """Of suites whose every task is there."""


def table_of(scores: Iterable[Score], asked: Iterable[Asked]) -> ScoreTable:
    """Make the table of scores that were just taken; see `score_table`."""
    return score_table(
        [result_in(one.detail) for one in scores if is_task_result(one.detail)],
        {one.suite: one.tasks for one in asked if one.suite is not None},
    )


def score_table(
    results: Iterable[TaskResult], suites: Mapping[str, tuple[str, ...]]
) -> ScoreTable:
    """Make the table.

    Args:
        results: One per task.
        suites: Average -> its tasks.
    """
    known = {result.task: result for result in results}
    return ScoreTable(
        scores=tuple(
            ScoreRow(
                task=name,
                metric=metric,
                is_main=metric == result.main,
                chance=result.chance if metric == result.main else None,
                **dict(one),
            )
            for name, result in known.items()
            for metric, one in estimates_of(result).items()
        ),
        averages=tuple(
            _average(suite, [known[name] for name in tasks])
            for suite, tasks in suites.items()
            if set(tasks) <= known.keys()
        ),
    )


def estimates_of(result: TaskResult) -> dict[str, Estimate]:
    """Return metric -> its mean over the questions, with its error."""
    clusters = [question.cluster for question in result.questions]
    return {
        metric: estimate(
            [question.values[metric] for question in result.questions], clusters
        )
        for metric in sorted(result.questions[0].values)
    }


def averages_of(results: Iterable[TaskResult]) -> tuple[MacroAverage, MacroAverage]:
    """Return the average of the tasks' main metrics, and the same over chance."""
    mains = {one.task: (estimates_of(one)[one.main], one.chance) for one in results}
    return (
        macro_average({name: main for name, (main, _) in mains.items()}),
        macro_average({name: chance_corrected(*pair) for name, pair in mains.items()}),
    )


def _average(suite: str, results: list[TaskResult]) -> AverageRow:
    average, over_chance = averages_of(results)
    return AverageRow(suite=suite, over_chance=over_chance, **dict(average))
