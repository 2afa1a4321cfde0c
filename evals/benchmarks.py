"""Benchmark tasks of an experiment: read before training, asked of weights, scored.

Task + rows --harness--> texts --tokenizer--> requests --model--> answers
  --harness or sandbox--> TaskResult --statistics--> Score, and a Score per suite
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.asking import PreparedTask, prepare_task
from evals.results import TaskResult
from evals.scores import Score, TextCodec
from evals.statistics.score_table import averages_of, estimates_of
from runtime.question_rows import read_rows
from runtime.sandbox.values import Level
from runtime.scoring import ScoredModel
from specs.benchmarks import Asked, Benchmarks
from specs.errors import CodemixError, InputError, Problem


@dataclass(frozen=True, kw_only=True)
class PreparedBenchmarks:
    """All tasks of an experiment, with what they ask."""

    tasks: Mapping[str, PreparedTask]
    asked: Sequence[Asked]

    def score(self, model: ScoredModel, items: Collection[int]) -> list[Score]:
        """Score one set of weights with what some items of the spec's evals ask.

        Returns:
            A score per task, in the order of their names, and one per suite.
        """
        due = [one for one in self.asked if one.item in items]
        names = sorted({name for one in due for name in one.tasks})
        results = {name: self.tasks[name].ask(model) for name in names}
        scores = [
            score_of(
                results[name],
                asked=self.tasks[name].what(),
                how=self.tasks[name].how(model.length),
                prompts_cut=self.tasks[name].num_cut(model.length),
            )
            for name in names
        ]
        suites = {one.suite: one for one in due if one.suite is not None}
        for name, one in sorted(suites.items()):
            scores.append(average_of(name, [results[task] for task in one.tasks]))
        return scores


def prepare_benchmarks(
    benchmarks: Benchmarks,
    files: Mapping[str, Path],
    tokenizer: TextCodec,
    *,
    length: int,
) -> PreparedBenchmarks:
    """Read every task's questions, and make of them what the model is asked.

    Args:
        benchmarks: With the digests of their rows, as in a lock.
        files: `tasks.NAME`, `shots.NAME` -> where the rows are.
        tokenizer: The experiment's.
        length: The shortest length that weights are scored at.

    Raises:
        InputError: With everything that can't be asked.
        SpecError: The same, where a declaration is wrong.
    """
    tasks: dict[str, PreparedTask] = {}
    problems: list[Problem] = []
    kind: type[CodemixError] = InputError
    for name, task in sorted(benchmarks.tasks.items()):
        shots = task.shots.data
        try:
            rows = read_rows(files[f"tasks.{name}"], task.data)
            examples = (
                None if shots is None else read_rows(files[f"shots.{name}"], shots)
            )
            tasks[name] = prepare_task(
                task,
                rows,
                examples,
                tokenizer,
                length=length,
                sandbox=_strictest(benchmarks.asked, name),
            )
        except CodemixError as error:
            problems += [_of_task(name, one) for one in error.problems]
            kind = type(error)
    if problems:
        raise kind(problems)
    return PreparedBenchmarks(tasks=tasks, asked=benchmarks.asked)


def _of_task(name: str, problem: Problem) -> Problem:
    """Name the task, where nothing else of the problem's place does."""
    place = f"tasks.{name}"
    path = problem.path or ""
    if problem.file is not None or path.startswith(place):
        return problem
    return replace(problem, path=f"{place}.{path}" if path else place)


def _strictest(asked: Sequence[Asked], task: str) -> Level:
    """Return the sandbox that all who ask for a task are content with."""
    levels = {one.sandbox for one in asked if task in one.tasks}
    return "bubblewrap" if "bubblewrap" in levels else "limits"


def score_of(result: TaskResult, **about: Any) -> Score:
    """Return the mean of every metric with its standard error.

    Args:
        result: Per question.
        **about: What stands beside the results in the score's detail.

    Returns:
        Values called `METRIC` and `METRIC_standard_error`.
    """
    values: dict[str, float] = {}
    for metric, one in estimates_of(result).items():
        values[metric] = one.mean
        if one.standard_error is not None:
            values[f"{metric}_standard_error"] = one.standard_error
    return Score(suite=result.task, values=values, detail={**result.to_json(), **about})


def average_of(suite: str, results: Sequence[TaskResult]) -> Score:
    """Return the unweighted mean of the main metrics of a suite's tasks.

    Values: `average`, and `above_chance`, where guessing is 0 and all right is 1; each
    with its `_standard_error`.
    """
    average, over_chance = averages_of(results)
    averages = {"average": average, "above_chance": over_chance}
    values: dict[str, float] = {}
    for name, one in averages.items():
        values[name] = one.mean
        if one.standard_error is not None:
            values[f"{name}_standard_error"] = one.standard_error
    detail = {
        "tasks": {one.task: one.fingerprint for one in results},
        **{name: one.to_json() for name, one in averages.items()},
    }
    return Score(suite=suite, values=values, detail=detail)
