"""Every error that codemix raises on purpose, by who must act.

    CodemixError
    |-- CheckFailed   exit 1  the answer is "no": it diverged, it does not verify
    |-- SpecError     exit 3  the author of the spec
    |-- InputError    exit 4  whoever owns the data, cache, checkpoint or machine
    |-- RunError      exit 5  the experimenter: non-finite loss, out of memory
    |-- ProcessLost   exit 69 whoever knows why another process of the run is gone
    `-- Preempted     exit 75 nobody: the same command goes on where it was stopped

Nothing here knows of the command line; `codemix_cli.main` turns a class into an exit
code and a `Problem` into text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, what, and how to mend it."""

    what: str
    """The rule, with the value received."""

    fix: str | None = None
    """One instruction that mends it."""

    file: str | None = None
    """As the user named it, never made absolute."""

    line: int | None = None
    """Counted from 1."""

    path: str | None = None
    """Dotted place inside the file or value, such as `stages.1.mixture`."""

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [part for part in (place, self.path, self.what) if part]
        text = ": ".join(parts)
        return f"{text}\n  fix: {self.fix}" if self.fix else text


class CodemixError(Exception):
    """A mistake or a fact that somebody other than us must act on."""

    exit_code = 70

    def __init__(self, problems: Problem | str | Sequence[Problem], **fields: object):
        """Take one or more problems, or the fields of a single one.

        Args:
            problems: Problems, or the `what` of a single one.
            **fields: The other fields of that single `Problem`.
        """
        if isinstance(problems, str):
            problems = Problem(what=problems, **fields)  # type: ignore[arg-type]
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CheckFailed(CodemixError):
    """The answer to what was asked is "no"."""

    exit_code = 1


class SpecError(CodemixError):
    """The spec asks for something that cannot be."""

    exit_code = 3


class InputError(CodemixError):
    """Data, cache, checkpoint, lock or machine is not as needed."""

    exit_code = 4


class RunError(CodemixError):
    """Training itself failed."""

    exit_code = 5


class ProcessLost(CodemixError):
    """Another process of the same run is gone, so none of them can go on."""

    exit_code = 69


class Preempted(CodemixError):
    """The machine is wanted back; the state is saved."""

    exit_code = 75
