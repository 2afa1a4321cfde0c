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
        files: `tasks.NAME`, `shots.NAME`, `kept_out.NAME` -> where the rows are; what
            is kept out and not among them stays as declared.

    Raises:
        InputError: With all rows that are not what a task declares.
    """
    problems: list[Problem] = []

    def filled(name: str, task: Task, group: str) -> Task:
        try:
            return _with_digests(task, name, files, group)
        except InputError as error:
            problems.extend(error.problems)
            return task

    tasks = {
        name: filled(name, task, "tasks") for name, task in benchmarks.tasks.items()
    }
    kept_out = {
        name: filled(name, task, "kept_out") if f"kept_out.{name}" in files else task
        for name, task in benchmarks.kept_out.items()
    }
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return benchmarks.model_copy(update={"tasks": tasks, "kept_out": kept_out})


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
        Problem(path=f"{group}.{name}", what=_difference(old, new), fix=fix)
        for group, was, now in (
            ("tasks", locked.tasks, declared.tasks),
            ("kept_out", locked.kept_out, declared.kept_out),
        )
        for name in sorted(was.keys() | now.keys())
        if not _is_same(new := now.get(name), old := was.get(name))
    ]
    if not problems and declared.asked != locked.asked:
        what = "the spec asks for its tasks otherwise than the lock has it"
        problems = [Problem(path="evals", what=what, fix=fix)]
    if problems:
        raise InputError(problems)


def _with_digests(task: Task, name: str, files: Mapping[str, Path], group: str) -> Task:
    data = _filled(task.data, files[f"{group}.{name}"])
    task = task.model_copy(update={"data": data})
    if group == "kept_out" or task.shots.data is None:
        return task
    data = _filled(task.shots.data, files[f"shots.{name}"])
    shots = task.shots.model_copy(update={"data": data})
    return task.model_copy(update={"shots": shots})


def _filled(data: TaskData, path: Path) -> TaskData:
    rows = read_rows(path, data)
    return data.model_copy(update={"sha256": rows_digest(rows), "rows": len(rows)})


def _difference(locked: Task | None, declared: Task | None) -> str:
    if locked is None:
        return "is in the spec but not in the lock"
    if declared is None:
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
