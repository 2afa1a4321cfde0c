"""Reading several spec files, with the problems of all of them told together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specs.errors import CodemixError, InputError, Problem, SpecError

if TYPE_CHECKING:
    from specs.experiment import Experiment


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
