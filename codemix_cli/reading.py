"""Reading the specs that a command is given, with what lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specs.errors import CodemixError, InputError, Problem, SpecError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from specs.experiment import Experiment
    from specs.lock import Lock
    from specs.plan import Plan
    from specs.study_loaded import Study

spec_argument = click.argument("spec", type=click.Path(path_type=Path))
"""The one spec that most commands take."""


def complete_entry(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the entries that what was typed may mean."""
    from codemix_cli.completion import complete

    return complete(ctx, param, incomplete)


entry_argument = click.argument("entry", shell_complete=complete_entry)
"""An entry of the ledger: the beginning of its digest, its unique name, or @TAG."""

ledger_option = click.option(
    "--ledger",
    metavar="URI",
    envvar="CODEMIX_LEDGER",
    help="MLflow store; by default MLFLOW_TRACKING_URI, or a file of the workspace.",
)

devices_option = click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Devices to use, a power of two; all that fit by default. "
    "In exact mode it changes no bit.",
)


@dataclass(frozen=True, kw_only=True)
class OpenSpec:
    """A spec that is at home in a workspace."""

    path: Path
    experiment: Experiment
    plan: Plan
    workspace: Path
    """The folder that holds `.dvc/`."""

    @property
    def lock(self) -> Lock:
        """The lock beside the spec.

        Raises:
            InputError: There is none.
        """
        from specs.loading import load_lock, lock_path

        return load_lock(lock_path(self.path))


def open_spec(path: Path) -> OpenSpec:
    """Load a spec, plan it and find its workspace.

    Raises:
        SpecError: With every problem of the spec.
        InputError: It is missing, or in no workspace.
    """
    from specs.loading import load_experiment
    from specs.resolve import plan_experiment
    from specs.workspace import find_workspace

    experiment = load_experiment(path)
    return OpenSpec(
        path=path,
        experiment=experiment,
        plan=plan_experiment(experiment),
        workspace=find_workspace(path),
    )


def workspace_here() -> Path:
    """Return the workspace that the current folder is in.

    Raises:
        InputError: It is in none.
    """
    from specs.workspace import find_workspace

    return find_workspace(Path("any.yaml"))


def read_specs(paths: Sequence[Path]) -> list[tuple[Path, Experiment]]:
    """Load every experiment of every file.

    Raises:
        SpecError: With the problems of all files.
        InputError: The same, where no file got as far as being read.
    """
    from specs.loading import load_experiments

    found: list[tuple[Path, Experiment]] = []
    problems: list[Problem] = []
    kind: type[CodemixError] = InputError
    for path in paths:
        try:
            found += [(path, experiment) for experiment in load_experiments(path)]
        except CodemixError as error:
            problems += error.problems
            kind = SpecError if isinstance(error, SpecError) else kind
    if problems:
        raise kind(problems)
    return found


def read_studies(
    paths: Sequence[Path],
) -> tuple[list[tuple[Path, Experiment]], list[Study]]:
    """Load every experiment of every spec and study.

    Returns:
        All experiments in the order of the paths; and the studies among the paths.

    Raises:
        SpecError: With the problems of all files.
        InputError: The same, where no file got as far as being read.
    """
    from specs.study_file import is_study, load_study

    found: list[tuple[Path, Experiment]] = []
    studies: list[Study] = []
    problems: list[Problem] = []
    kind: type[CodemixError] = InputError
    for path in paths:
        try:
            if is_study(path):
                studies.append(study := load_study(path))
                found += study.experiments
            else:
                found += read_specs([path])
        except CodemixError as error:
            problems += error.problems
            kind = SpecError if isinstance(error, SpecError) else kind
    if problems:
        raise kind(problems)
    return found, studies


def check_scores(studies: Sequence[Study]) -> None:
    """Check the suites and tasks that studies look at.

    Raises:
        SpecError: With every unknown name.
    """
    from evals.catalogue import check_score_names

    problems = [one for study in studies for one in check_score_names(study)]
    if problems:
        raise SpecError(problems)


def check_evals(specs: Sequence[tuple[Path, Experiment]]) -> None:
    """Check the suites and tasks that specs ask for.

    Raises:
        SpecError: With every unknown name and wrong task file.
    """
    from evals.catalogue import check_files, check_names
    from specs.workspace import find_workspace

    problems: list[Problem] = []
    for path, experiment in specs:
        found = check_names(experiment)
        if any(item.tasks for item in experiment.evals):
            found += check_files(experiment, find_workspace(path))
        # A problem of a task file names that file; others are the spec's.
        problems += [replace(one, file=one.file or str(path)) for one in found]
    if problems:
        raise SpecError(problems)
