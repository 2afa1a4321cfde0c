"""Which benchmarks a spec asks for: names in its `evals`, looked up.

A name is a suite or a task that comes with codemix, or after `lm-eval:` a task that
lm-evaluation-harness defines; a path is a task file of the workspace. Nothing is read
here but those files: no data, and no slow library but for tasks of lm-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evals.rendering import template_problems
from specs.benchmarks import Asked, Benchmarks
from specs.deduplication import KeptOutBenchmarks
from specs.errors import CodemixError, Problem, SpecError
from specs.evaluation import BASELINES, OWN_SUITES, Evaluation
from specs.experiment import Experiment
from specs.names import did_you_mean
from specs.quantities import check_location
from specs.rules import BrokenRules
from specs.study_loaded import Study
from specs.task import Suite, Task
from specs.task_files import load_suite, load_task

TASKS = Path(__file__).parent / "tasks"
SUITES = TASKS / "suites"

FILE_SUFFIXES = (".yaml", ".yml")

KEPT_OUT = "deduplicate.benchmarks"
"""Where a spec names the benchmarks that are kept out of its training text."""

STOCK = "lm-eval:"
"""Before the name of a task that lm-evaluation-harness defines."""


def task_names() -> list[str]:
    """Return the names of the tasks that come with codemix, sorted."""
    return sorted(path.stem for path in TASKS.glob("*.yaml"))


def suite_names() -> list[str]:
    """Return the names of the suites that come with codemix, sorted."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def check_names(experiment: Experiment) -> list[Problem]:
    """Find names of a spec that there is no benchmark of; no file is opened."""
    problems: list[Problem] = []
    for item, evaluation in enumerate(experiment.evals):
        path = f"evals.{item}"
        if evaluation.suite is not None:
            known = [*OWN_SUITES, *suite_names()]
            problems += _unknown("suite", evaluation.suite, f"{path}.suite", known)
        problems += _unknown_tasks(evaluation.tasks or (), path)
    kept_out = kept_out_of(experiment)
    if kept_out is not None:
        for place, name in enumerate(kept_out.suites):
            path = f"{KEPT_OUT}.suites.{place}"
            problems += _unknown("suite", name, path, suite_names())
        problems += _unknown_tasks(kept_out.tasks, KEPT_OUT)
    return problems


def check_score_names(study: Study) -> list[Problem]:
    """Find suites and tasks that a study looks at, and that there are none of.

    Task files have names of their own inside: where an experiment asks for some, a
    name that is unknown here may be one of theirs.
    """
    asked = [name for _, one in study.experiments for name in _asked_tasks(one)]
    if any(name.endswith(FILE_SUFFIXES) or name.startswith(STOCK) for name in asked):
        return []
    known = [*OWN_SUITES, *suite_names(), *task_names()]
    problems = []
    for name, score in study.scores.items():
        for key in ("suite", "win_rate"):
            wanted = getattr(score, key)
            # Questions of a suite `choices` are called after their file.
            if wanted is None or wanted.partition(".")[0] in known:
                continue
            path = f"scores.{name}.{key}"
            what = f"unknown suite or task {wanted!r}"
            fix = did_you_mean(wanted, known)
            problems.append(
                Problem(file=str(study.path), path=path, what=what, fix=fix)
            )
    return problems


def _asked_tasks(experiment: Experiment) -> Iterator[str]:
    for evaluation in experiment.evals:
        yield from evaluation.tasks or ()


def check_files(experiment: Experiment, workspace: Path) -> list[Problem]:
    """Find what is wrong with the task files that a spec's evals name.

    What comes with codemix is not read: that is right.
    """
    found = _Declared(workspace)
    for item, evaluation in enumerate(experiment.evals):
        path = f"evals.{item}"
        for task in found.read(path, _files(evaluation.tasks or ())):
            found.keep(path, task)
    kept_out = kept_out_of(experiment)
    if kept_out is not None:
        found.keep_out(found.read(KEPT_OUT, _files(kept_out.tasks)))
    return found.problems


def declared_benchmarks(experiment: Experiment, workspace: Path) -> Benchmarks:
    """Read all tasks that a spec asks for.

    Args:
        experiment: The spec.
        workspace: The folder that task files are named from.

    Raises:
        SpecError: With every unknown name, wrong file, and name that means two tasks.
    """
    found = _Declared(workspace)
    found.problems += check_names(experiment)
    if not found.problems:
        for item, evaluation in enumerate(experiment.evals):
            if evaluation.suite not in OWN_SUITES:
                found.add(item, evaluation)
        kept_out = kept_out_of(experiment)
        if kept_out is not None:
            suites = [shipped_suite(name).tasks for name in kept_out.suites]
            for tasks in (*suites, kept_out.tasks):
                found.keep_out(found.read(KEPT_OUT, list(enumerate(tasks))))
    if found.problems:
        raise SpecError(found.problems)
    return Benchmarks(
        tasks=found.tasks, asked=tuple(found.asked), kept_out=found.kept_out
    )


def kept_out_of(experiment: Experiment) -> KeptOutBenchmarks | None:
    """Return the benchmarks that a spec keeps out of its training text."""
    declared = experiment.deduplicate
    return None if declared is None else declared.benchmarks


def shipped_task(name: str) -> Task:
    """Load a task that comes with codemix."""
    return load_task(TASKS / f"{name}.yaml", shown_as=f"evals/tasks/{name}.yaml")


def shipped_suite(name: str) -> Suite:
    """Load a suite that comes with codemix."""
    path = SUITES / f"{name}.yaml"
    return load_suite(path, shown_as=f"evals/tasks/suites/{name}.yaml")


def _unknown(
    kind: str, name: str, path: str, known: Sequence[str]
) -> Iterator[Problem]:
    if name not in known:
        what = f"unknown {kind} {name!r}"
        yield Problem(path=path, what=what, fix=did_you_mean(name, known))


def _unknown_tasks(names: Sequence[str], path: str) -> Iterator[Problem]:
    for place, name in enumerate(names):
        if not name.startswith(STOCK) and not name.endswith(FILE_SUFFIXES):
            yield from _unknown("task", name, f"{path}.tasks.{place}", task_names())


def _files(names: Sequence[str]) -> list[tuple[int, str]]:
    """Return the task files of the workspace among names, with their places."""
    return [
        (place, name)
        for place, name in enumerate(names)
        if name.endswith(FILE_SUFFIXES)
    ]


class _Declared:
    """Collects what is asked for, and every problem with it."""

    def __init__(self, workspace: Path) -> None:
        self.tasks: dict[str, Task] = {}
        self.kept_out: dict[str, Task] = {}
        self.asked: list[Asked] = []
        self.problems: list[Problem] = []
        self._workspace = workspace

    def add(self, item: int, evaluation: Evaluation) -> None:
        """Read what one item of a spec's evals names."""
        suite, limit = None, evaluation.limit
        if evaluation.suite is not None:
            suite = shipped_suite(evaluation.suite)
            names, limit = suite.tasks, limit or suite.limit
        else:
            names = evaluation.tasks or ()
        path = f"evals.{item}"
        read = self.read(path, list(enumerate(names)))
        tasks = [_limited(task, limit) for task in self._defined(read)]
        for task in tasks:
            self.keep(path, task)
        name = None
        if suite is not None:
            is_own = evaluation.limit in (None, suite.limit)
            name = suite.name if is_own else f"{suite.name}-{evaluation.limit}"
        self.asked.append(
            Asked(
                item=item,
                suite=name,
                version=None if suite is None else suite.version,
                tasks=tuple(task.name for task in tasks),
                sandbox=evaluation.sandbox or "bubblewrap",
            )
        )

    def keep(self, path: str, task: Task) -> None:
        """Keep a task, and find another of its name."""
        self._keep(self.tasks, path, task)

    def keep_out(self, tasks: Iterator[Task]) -> None:
        """Keep tasks whose questions are looked for, and find those that can't be."""
        for task in self._defined(tasks):
            self._keep(self.kept_out, KEPT_OUT, task)
            if task.contamination is None:
                what = f"the task {task.name!r} does not say how it is looked for"
                fix = "add 'contamination: {fields: [...]}' to it, or leave it out"
                self.problems.append(Problem(path=KEPT_OUT, what=what, fix=fix))

    def _keep(self, tasks: dict[str, Task], path: str, task: Task) -> None:
        if tasks.setdefault(task.name, task) != task:
            what = f"two different tasks are called {task.name!r}"
            fix = "rename the one that is yours"
            self.problems.append(Problem(path=path, what=what, fix=fix))

    def _defined(self, tasks: Iterator[Task]) -> Iterator[Task]:
        for task in tasks:
            try:
                yield _with_definition(task)
            except CodemixError as error:
                self.problems += error.problems

    def read(self, top: str, names: Sequence[tuple[int, str]]) -> Iterator[Task]:
        """Yield the tasks of some names, each with its place in the list at `top`."""
        for place, name in names:
            path = f"{top}.tasks.{place}"
            try:
                if name.endswith(FILE_SUFFIXES):
                    check_location(name)
                    task = load_task(self._workspace / name, shown_as=name)
                    self.problems += template_problems(task, file=name)
                    self.problems += _name_problems(task, file=name)
                    yield task
                elif name.startswith(STOCK):
                    yield _stock(name.removeprefix(STOCK))
                else:
                    yield shipped_task(name)
            except BrokenRules as error:
                for rule in error.broken:
                    problem = Problem(path=path, what=rule.what, fix=rule.fix)
                    self.problems.append(problem)
            except CodemixError as error:
                self.problems += error.problems


def _name_problems(task: Task, *, file: str) -> Iterator[Problem]:
    """Refuse the name of a suite: scores of a step are told apart by name alone."""
    start, dash, limit = task.name.rpartition("-")
    # A suite that is asked with a limit of the spec's has it in its name.
    unlimited = start if dash and limit.isdecimal() else task.name
    if unlimited in (*OWN_SUITES, BASELINES, *suite_names()):
        what = f"{task.name!r} is the name of other scores"
        yield Problem(file=file, path="name", what=what, fix="rename the task")


def _stock(name: str) -> Task:
    """Return the task of a name that lm-eval knows."""
    from evals.harness_stock import stock_task, task_of

    return task_of(stock_task(name))


def _with_definition(task: Task) -> Task:
    """Pin the definition of lm-eval that a task takes its questions' form from."""
    if task.lm_eval is None:
        return task
    from evals.harness_stock import with_definition

    return with_definition(task)


def _limited(task: Task, limit: int | None) -> Task:
    """Ask fewer questions, under a name that says so."""
    if limit is None or (task.limit is not None and task.limit <= limit):
        return task
    if task.data.rows is not None and task.data.rows <= limit:
        return task
    return task.model_copy(update={"name": f"{task.name}-{limit}", "limit": limit})
