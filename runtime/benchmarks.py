"""The benchmarks of a lock: declared tasks with the digests of their rows.

The declarations are handed in, as `evals` has them; the lock keeps them, so that a
replay asks what the run asked, whatever became of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runtime.question_rows import read_rows, rows_digest
from specs.benchmarks import NO_BENCHMARKS, Benchmarks
from specs.errors import InputError, Problem
from specs.experiment import Experiment
from specs.task import Task, TaskData

Declare = Callable[[Experiment, Path], Benchmarks]
"""Spec, workspace -> the tasks that the spec asks for, as they are declared."""


def nothing_declared(experiment: Experiment, workspace: Path) -> Benchmarks:
    """Declare no benchmark, for specs that ask for none."""
    return NO_BENCHMARKS


def with_digests(benchmarks: Benchmarks, files: Mapping[str, Path]) -> Benchmarks:
    """Check the rows of every task, and write down what they are.

    Args:
        benchmarks: As declared.
        files: `tasks.NAME`, `shots.NAME` -> where the rows are.

    Raises:
        InputError: With all rows that are not what a task declares.
    """
    problems: list[Problem] = []
    tasks = {}
    for name, task in benchmarks.tasks.items():
        try:
            tasks[name] = _with_digests(task, name, files)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return benchmarks.model_copy(update={"tasks": tasks})


def check_declared(declared: Benchmarks, locked: Benchmarks, spec: str) -> None:
    """Check that a lock holds the benchmarks as they are declared now.

    Args:
        declared: By the spec and the task files.
        locked: In the lock.
        spec: What messages call the spec.

    Raises:
        InputError: With every task that differs.
    """
    fix = f"codemix pin {spec}"
    problems = [
        Problem(path=f"tasks.{name}", what=_difference(declared, locked, name), fix=fix)
        for name in sorted(declared.tasks.keys() | locked.tasks.keys())
        if not _is_same(declared.tasks.get(name), locked.tasks.get(name))
    ]
    if not problems and declared.asked != locked.asked:
        what = "the spec asks for its tasks otherwise than the lock has it"
        problems = [Problem(path="evals", what=what, fix=fix)]
    if problems:
        raise InputError(problems)


def _with_digests(task: Task, name: str, files: Mapping[str, Path]) -> Task:
    task = task.model_copy(update={"data": _filled(task.data, files[f"tasks.{name}"])})
    if task.shots.data is None:
        return task
    data = _filled(task.shots.data, files[f"shots.{name}"])
    shots = task.shots.model_copy(update={"data": data})
    return task.model_copy(update={"shots": shots})


def _filled(data: TaskData, path: Path) -> TaskData:
    rows = read_rows(path, data)
    return data.model_copy(update={"sha256": rows_digest(rows), "rows": len(rows)})


def _difference(declared: Benchmarks, locked: Benchmarks, name: str) -> str:
    if name not in locked.tasks:
        return "is in the spec but not in the lock"
    if name not in declared.tasks:
        return "is in the lock but no longer in the spec"
    return "is declared otherwise than when the lock was written"


def _is_same(declared: Task | None, locked: Task | None) -> bool:
    """Whether a task is what was locked; the lock alone may know digests."""
    if declared is None or locked is None:
        return False
    filled = _known(declared.data, locked.data)
    shots = declared.shots
    if shots.data is not None and locked.shots.data is not None:
        data = _known(shots.data, locked.shots.data)
        shots = shots.model_copy(update={"data": data})
    return declared.model_copy(update={"data": filled, "shots": shots}) == locked


def _known(declared: TaskData, locked: TaskData) -> TaskData:
    update: dict[str, object] = {}
    if declared.sha256 is None:
        update["sha256"] = locked.sha256
    if declared.rows is None:
        update["rows"] = locked.rows
    return declared.model_copy(update=update)
