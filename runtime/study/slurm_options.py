"""What is said of a Slurm cluster: long options of sbatch's, but for codemix's own.

Most of them are Slurm's to judge. Those by which jobs are found, wait for each other
and go on are said by codemix; another value would undo that, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specs.errors import InputError, Problem

OPTION = "--slurm-option"

OWN_NAMES = {
    name: why
    for why, names in {
        "a job is found by it": ("comment", "job-name"),
        "a job waits for others by it": ("dependency", "kill-on-invalid-dep"),
        "a job that comes to its time goes on by it": (
            "no-requeue",
            "requeue",
            "signal",
        ),
        "a job's log is where it says": ("error", "open-mode", "output"),
        "a job is one command, in the folder of this one": ("array", "chdir"),
        "sbatch has to answer at once, with a number": (
            "parsable",
            "quiet",
            "test-only",
            "wait",
        ),
        "jobs are looked for in the queue of this cluster": ("clusters",),
    }.items()
    for name in names
}
"""What is codemix's to say -> why."""

_LEAST_MINUTES = 4
"""Slurm may give notice 150 s before the end; a shorter job would never get further."""


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """What is said of a cluster."""

    minutes: int
    """After so many a job is told that its time is over."""
    parameters: Mapping[str, str]
    """sbatch's other long options, without dashes at the front -> value."""


def read_options(pairs: Sequence[tuple[str, str]]) -> SlurmOptions:
    """Read what was said of a cluster.

    Args:
        pairs: Name and value of each option.

    Raises:
        InputError: With every problem of all of them.
    """
    given: dict[str, str] = {}
    problems: list[Problem] = []
    for said, value in pairs:
        # submitit takes both for the same.
        name = said.replace("_", "-")
        problem = _problem_of(name, given)
        if problem is None:
            given[name] = value
        else:
            problems.append(problem)
    minutes = given.pop("time", "")
    if not (minutes.isascii() and minutes.isdecimal()) or int(minutes) < _LEAST_MINUTES:
        what = (
            f"a job needs a limit in whole minutes, {_LEAST_MINUTES} or more, "
            f"got {minutes!r}"
        )
        fix = f"say {OPTION} time=MINUTES; a job that comes to it goes on"
        problems.append(_problem("time", what, fix))
    if problems:
        raise InputError(problems)
    return SlurmOptions(minutes=int(minutes), parameters=given)


def _problem_of(name: str, given: Mapping[str, str]) -> Problem | None:
    if name in OWN_NAMES:
        what = f"is codemix's to say: {OWN_NAMES[name]}"
        return _problem(name, what, "leave it out")
    if name in given:
        return _problem(name, "is given twice", "say it once")
    if not re.fullmatch(r"[a-z][-a-z0-9]+", name):
        fix = "say its long name without dashes at the front, such as partition"
        return _problem(name, "is no long option of sbatch", fix)
    # sbatch takes the beginning of a name for the name.
    for own in OWN_NAMES:
        if own.startswith(name):
            what = f"may be short for {own}, which is codemix's to say"
            return _problem(name, what, "write the name out")
    return None


def _problem(name: str, what: str, fix: str) -> Problem:
    return Problem(what=what, fix=fix, path=f"{OPTION} {name}")
