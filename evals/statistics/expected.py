"""What evaluations will be able to show, from their declarations alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.catalogue import FILE_SUFFIXES, declared_benchmarks
from evals.statistics.macro import variance_shares
from evals.statistics.power import (
    CORRELATION,
    detectable_effect,
    error_of_difference,
    expected_error,
)
from ledger.repeats import FREE_FIELDS
from specs.base import Value
from specs.benchmarks import Benchmarks
from specs.canonical import digest_of
from specs.experiment import Experiment
from specs.lock import Lock
from specs.task import Task
from specs.workspace import find_workspace


class ExpectedError(Value):
    """The error of a score, and the least difference that would be seen. Shares."""

    standard_error: float | None
    """The largest that the questions allow, with half of them right; null where their
    number is unknown."""
    unpaired: float | None
    """Least true difference of two models that would be seen in 4 of 5 tries if each
    answered other questions; null for win rates, which are comparisons already."""
    paired: float | None
    """The same where both answer the same questions, with a correlation of 0.7."""


class ExpectedTask(ExpectedError):
    """One task."""

    questions: int | None
    """Null where their number isn't declared, and nothing is pinned."""
    chance: float
    """What guessing scores."""
    cluster: str | None
    """Field whose equal values make questions depend on each other: the error is
    larger, by how much is known when they are read."""


class ExpectedSuite(ExpectedError):
    """The macro average of one suite."""

    variance_shares: dict[str, float]
    """Task -> its share of the variance of the average, as far as it is known."""
    unknown: tuple[str, ...]
    """Tasks whose questions aren't known: what they add to the error is missing."""


class ExpectedScores(Value):
    """All benchmarks of one experiment."""

    tasks: dict[str, ExpectedTask]
    suites: dict[str, ExpectedSuite]


def expected_of(
    spec: Path, experiment: Experiment, lock: Lock | None
) -> ExpectedScores:
    """Say how sure the scores of an experiment will be.

    Args:
        spec: Its file.
        experiment: The spec.
        lock: Knows how many questions a task has where its declaration doesn't.

    Raises:
        SpecError: The spec asks for a task or suite that isn't there, or is wrong.
        InputError: It names task files and is in no workspace.
    """
    names_files = any(
        name.endswith(FILE_SUFFIXES)
        for evaluation in experiment.evals
        for name in evaluation.tasks or ()
    )
    workspace = find_workspace(spec) if names_files else spec.parent
    declared = declared_benchmarks(experiment, workspace)
    rows = {
        name: task.data.rows
        for name, task in (lock.benchmarks.tasks.items() if lock else ())
    }
    return expected_scores(declared, rows)


def count_seeds(experiments: Sequence[Experiment]) -> list[int]:
    """Count for each experiment those that differ from it in their seed alone.

    Args:
        experiments: Of one file. Each counts itself.
    """
    recipes = [
        digest_of(experiment.model_dump(mode="json", exclude=set(FREE_FIELDS)))
        for experiment in experiments
    ]
    seeds: dict[str, set[int]] = {}
    for recipe, experiment in zip(recipes, experiments, strict=True):
        seeds.setdefault(recipe, set()).add(experiment.seed)
    return [len(seeds[recipe]) for recipe in recipes]


def expected_scores(
    benchmarks: Benchmarks, pinned_rows: Mapping[str, int | None]
) -> ExpectedScores:
    """Say how sure scores will be before any compute is spent.

    Args:
        benchmarks: What is scored.
        pinned_rows: Task -> rows that are pinned, for tasks that declare none.
    """
    tasks = {
        name: expected_task(task, task.data.rows or pinned_rows.get(name))
        for name, task in benchmarks.tasks.items()
    }
    return ExpectedScores(
        tasks=tasks,
        suites={
            asked.suite: expected_suite({name: tasks[name] for name in asked.tasks})
            for asked in benchmarks.asked
            if asked.suite is not None
        },
    )


def expected_task(task: Task, rows: int | None) -> ExpectedTask:
    """Say how sure the score of a task will be.

    Args:
        task: The task.
        rows: How many questions there are; null: unknown.
    """
    count = rows if task.limit is None or rows is None else min(rows, task.limit)
    error = None if count is None else expected_error(count)
    return ExpectedTask(
        **_detectable(error, is_comparison=task.way == "reply"),
        questions=count,
        chance=task.chance,
        cluster=task.cluster,
    )


def expected_suite(tasks: Mapping[str, ExpectedTask]) -> ExpectedSuite:
    """Say how sure the macro average of some tasks will be."""
    known = {
        name: one.standard_error
        for name, one in tasks.items()
        if one.standard_error is not None
    }
    error = None
    if known:
        error = math.sqrt(math.fsum(one**2 for one in known.values())) / len(tasks)
    is_comparison = any(tasks[name].paired is None for name in known)
    return ExpectedSuite(
        **_detectable(error, is_comparison),
        variance_shares=variance_shares(known),
        unknown=tuple(name for name in tasks if name not in known),
    )


def _detectable(error: float | None, is_comparison: bool) -> dict[str, float | None]:
    if error is None or is_comparison:
        return {"standard_error": error, "unpaired": None, "paired": None}
    return {
        "standard_error": error,
        "unpaired": detectable_effect(error_of_difference(error)),
        "paired": detectable_effect(error_of_difference(error, CORRELATION)),
    }
