"""What is run in the sandbox, within which limits, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from specs.base import Value

Level = Literal["bubblewrap", "limits"]
"""How much a program is kept from, most first. `docs/sandbox.md` says what each is."""

LEVELS: tuple[Level, ...] = ("bubblewrap", "limits")

Verdict = Literal[
    "passed",
    "failed",
    "timed-out",
    "out-of-memory",
    "too-much-output",
    "refused-by-sandbox",
    "died",
]

MIB = 1024**2


class Limits(Value):
    """What one program may use. Everything counts from 0 for each program."""

    cpu_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Of processor time for each process, rounded up to whole ones."""

    seconds: Annotated[float, Field(gt=0, le=1800)] = 30.0
    """By the clock, until all of it is killed. More than `cpu_seconds`: a busy machine
    shall not fail honest programs."""

    memory_bytes: Annotated[int, Field(ge=64 * MIB)] = 1024 * MIB
    """Address space of each process."""

    processes: Annotated[int, Field(ge=4, le=1024)] = 16
    """Processes and threads at one time, the three of the sandbox among them."""

    disk_bytes: Annotated[int, Field(ge=MIB)] = 64 * MIB
    """Of its folder, which is memory."""

    file_bytes: Annotated[int, Field(ge=MIB)] = 16 * MIB
    """Of one file."""

    open_files: Annotated[int, Field(ge=16)] = 64
    """Of each process."""

    output_bytes: Annotated[int, Field(ge=1024)] = MIB
    """It may print; one byte more and it is killed."""


class Program(Value):
    """Code of unknown intent, and the tests that it has to pass.

    The two never share a process. What the tests need of the candidate is asked of it
    by name; everything else they get from `given`.
    """

    name: str
    """For people and progress."""

    candidate: str
    """Python that is loaded as a module."""

    tests: str
    """Python that must run to its end without an exception."""

    names: tuple[str, ...]
    """What `tests` use of the candidate: names that it must define."""

    given: str = ""
    """Trusted Python before `tests`: imports and helpers. The candidate can't change
    what it defines."""


class Outcome(Value):
    """What came of a program, without clocks and texts of its own."""

    verdict: Verdict
    """`passed` is the only good one."""

    reason: str
    """Kind of exception and place, or what was exceeded; empty if it passed."""

    suspicious: tuple[str, ...] = ()
    """What a program that passed reaches for and no honest solution needs."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One program that was run. Only `outcome` is the same every time."""

    outcome: Outcome
    seconds: float
    exit_code: int | None
    """Of the candidate's process; negative: the signal that ended it; None: it went on
    until it was ended, or never began."""
    output_tail: str
    """The last of what it printed, on any stream."""


class SandboxFacts(Value):
    """What programs were kept from and what ran them; part of every result."""

    version: int = 1
    """Of how programs are run; raised when a verdict could change by it."""

    level: Level
    """What was used."""

    python: str
    """Implementation and version inside."""

    bubblewrap: str | None
    """Version; null: not used."""
