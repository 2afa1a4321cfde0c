"""Code that a model wrote, run against its task's tests: pass@k for each question.

The program of a task is one text, with the completion in its middle. What stands
before the completion and what was completed is the candidate; what comes after is the
tests. The sandbox runs the two in different processes, so the tests' names are sorted
first, by the solution that the task's author gave: helpers that the prompt defines are
the task's own, and only what the solution itself defines is asked of a candidate.
"""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.pass_at_k import pass_at_k
from evals.rendering import (
    NOWHERE,
    Place,
    Row,
    rendered_program,
    rendered_solution,
)
from evals.results import QuestionResult
from runtime.sandbox.probe import check_level
from runtime.sandbox.programs import run_programs
from runtime.sandbox.values import Level, Limits, Outcome, Program, Run, SandboxFacts
from specs.errors import InputError, RunError, SpecError
from specs.task import Task
from specs.task_ways import Program as ProgramWay

CLOCK_PER_CPU = 3
"""Seconds of the clock for one of processor time, so that verdicts hold under load."""

MARK = "\x00completion\x00"
"""Stands for a completion while a program is taken apart."""


@dataclass(frozen=True, kw_only=True)
class ProgramScores:
    """What completions came to."""

    questions: tuple[QuestionResult, ...]
    """One per row, in their order."""
    main: str
    """The metric that stands for the task in averages."""
    sandbox: SandboxFacts
    """Part of the result: another Python may give other verdicts."""
    seconds: float
    """Of all programs together; not part of the result."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """The program of one row, without a completion."""

    before: str
    tests: str
    given: str
    names: tuple[str, ...]

    def program(self, completion: str, *, name: str) -> Program:
        """Return the program of one completion."""
        return Program(
            name=name,
            candidate=self.before + completion,
            tests=self.tests,
            given=self.given,
            names=self.names,
        )


def check_samples(task: Task, *, file: str | None = None) -> None:
    """Refuse a task that asks for pass@k of more samples than it draws.

    Raises:
        SpecError: It does.
    """
    way = _way(task)
    if max(way.k) > way.samples:
        raise SpecError(
            f"pass@{max(way.k)} takes {max(way.k)} samples, got {way.samples}",
            fix=f"set program.samples to {max(way.k)} or more",
            file=file,
            path="program.k",
        )


def score_completions(
    task: Task,
    rows: Sequence[Row],
    completions: Sequence[Sequence[str]],
    *,
    ids: Sequence[str] | None = None,
    minimum: Level = "bubblewrap",
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ProgramScores:
    """Run every completion of every question.

    Args:
        task: One with a `program`.
        rows: The questions, with the fields of `task.data`.
        completions: Per question, as many as `program.samples`.
        ids: Index of each row among all rows, as text; None: counted from 0.
        minimum: The weakest sandbox that is good enough.
        workers: Programs at one time; None: one per core.
        progress: Told how many programs are done.

    Raises:
        SpecError: The task's program can't be taken apart.
        InputError: A row does not fit its task, or there is no sandbox.
        RunError: The sandbox could not be started for some.
    """
    check_samples(task)
    way = _way(task)
    wrong = {len(samples) for samples in completions} - {way.samples}
    if wrong or len(completions) != len(rows):
        raise ValueError(f"{task.name} wants {way.samples} completions for each row")
    sandbox = check_level(minimum)
    ids = [str(index) for index in range(len(rows))] if ids is None else ids
    programs = []
    for row, row_id, samples in zip(rows, ids, completions, strict=True):
        question = question_of(task, row, place=Place(row=int(row_id)))
        programs += [question.program(text, name=row_id) for text in samples]
    runs = _run(programs, way, minimum, workers, progress)
    return ProgramScores(
        questions=tuple(
            _result(task, row, row_id, samples, runs[at : at + way.samples])
            for row, row_id, samples, at in zip(
                rows, ids, completions, range(0, len(runs), way.samples), strict=True
            )
        ),
        main=f"pass@{way.k[0]}",
        sandbox=sandbox.facts,
        seconds=sum(run.seconds for run in runs),
    )


def check_solutions(
    task: Task,
    rows: Sequence[Row],
    *,
    minimum: Level = "bubblewrap",
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[int, Outcome]:
    """Run the solutions that came with a task; return those that do not pass.

    Returns:
        Index of a row -> what came of its solution; empty: the task is sound.
    """
    programs = []
    for index, row in enumerate(rows):
        place = Place(row=index)
        solution = rendered_solution(task, row, place=place)
        question = question_of(task, row, place=place)
        programs.append(question.program(solution, name=str(index)))
    runs = _run(programs, _way(task), minimum, workers, progress)
    outcomes = {index: run.outcome for index, run in enumerate(runs)}
    return {at: one for at, one in outcomes.items() if one.verdict != "passed"}


def question_of(task: Task, row: Row, *, place: Place = NOWHERE) -> Question:
    """Take the program of a row apart.

    Raises:
        SpecError: Its template does not hold the completion once, as it is.
        InputError: The row's tests or solution are no Python.
    """
    before, tests = _around(task, row, place)
    solution = rendered_solution(task, row, place=place)
    # The text is not ours: what the compiler thinks of its style is of no interest.
    with warnings.catch_warnings(action="ignore"):
        given, names = _given_and_asked(before, solution, tests, place)
    return Question(before=before, tests=tests, given=given, names=names)


def _given_and_asked(
    before: str, solution: str, tests: str, place: Place
) -> tuple[str, tuple[str, ...]]:
    """Part what tests use into the task's own code and names of the candidate."""
    reference = _parsed(before + solution, place, "program.solution")
    used = {
        node.id
        for node in ast.walk(_parsed(tests, place, "program.source"))
        if isinstance(node, ast.Name)
    }
    num_lines = before.count("\n")
    own = [
        node
        for node in reference.body
        if (node.end_lineno or num_lines + 1) <= num_lines
    ]
    given = ast.unparse(ast.Module(body=own, type_ignores=[]))
    asked = _defined(before + solution) - _defined(given)
    return given, tuple(sorted(used & asked))


def _way(task: Task) -> ProgramWay:
    assert task.program is not None, f"{task.name} has no program"
    return task.program


def _run(
    programs: Sequence[Program],
    way: ProgramWay,
    minimum: Level,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> list[Run]:
    """Run programs; a sandbox that does not start says nothing of them."""
    seconds = CLOCK_PER_CPU * way.seconds
    runs = run_programs(
        programs,
        limits=Limits(cpu_seconds=way.seconds, seconds=seconds),
        minimum=minimum,
        workers=workers,
        progress=progress,
    )
    refused = [run for run in runs if run.outcome.verdict == "refused-by-sandbox"]
    if refused:
        said = (refused[0].output_tail.strip() or refused[0].outcome.reason)[-300:]
        raise RunError(
            f"the sandbox did not start for {len(refused)} of {len(runs)} programs: "
            f"{said}",
            fix="free memory and processes, and score again; `codemix doctor` tries it",
        )
    return runs


def _around(task: Task, row: Row, place: Place) -> tuple[str, str]:
    """Return what a program holds before and after its completion."""
    parts = rendered_program(task, row, completion=MARK, place=place).split(MARK)
    other = rendered_program(task, row, completion=" x\n", place=place)
    if len(parts) != 2 or " x\n".join(parts) != other:
        raise SpecError(
            "must hold {{ completion }} once, as it is: what follows it is run in a "
            "process of its own",
            fix="write {{ completion }} on a line, and the tests on those below it",
            file=place.file,
            path="program.source",
        )
    return parts[0], parts[1]


def _parsed(text: str, place: Place, path: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        row = "" if place.row is None else f"row {place.row}: "
        raise InputError(
            f"{row}is no Python: {error}",
            fix="correct the template, or drop the row",
            file=place.file,
            path=path,
        ) from None


def _defined(text: str) -> set[str]:
    """Names that a program binds at its top level."""
    table = symtable.symtable(text, "program", "exec")
    return {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }


def _result(
    task: Task, row: Row, row_id: str, samples: Sequence[str], runs: Sequence[Run]
) -> QuestionResult:
    passed = sum(run.outcome.verdict == "passed" for run in runs)
    outputs: list[dict[str, Any]] = [
        {"completion": text, **run.outcome.to_json()}
        for text, run in zip(samples, runs, strict=True)
    ]
    return QuestionResult(
        id=row_id,
        values={f"pass@{k}": pass_at_k(len(runs), passed, k) for k in _way(task).k},
        cluster=None if task.cluster is None else str(row[task.cluster]),
        output={"passed": passed, "samples": outputs},
    )
