"""Programs for tests of the sandbox, and whether this machine has one."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from runtime.sandbox.probe import Found, probe
from runtime.sandbox.programs import run_programs
from runtime.sandbox.values import Limits, Program, Run

QUICK = Limits(seconds=10.0)
"""Enough for an honest program on a busy machine."""


# Looks for the word of `marked` tests in other processes, and returns it.
FILES = """
import os, re
def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as file:
        for line in maps:
            if " rw-p " in line:
                start, stop = (int(n, 16) for n in line.split()[0].split("-"))
                file.seek(start)
                yield file.read(stop - start)
def other(pid):
    for name in ("environ", "cmdline", "fd/0", "fd/1", "fd/3", "fd/4"):
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_NONBLOCK)
        yield os.read(fd, 10**6)
def solve(x):
    for pid in (os.getppid(), 1, 2, 3):
        for source in (memory, other):
            try:
                for data in source(pid):
                    found = re.search(b"marker-[0-9a-f]{16}", data)
                    if found: return found[0].decode()
            except OSError: continue
"""


def require_sandbox() -> Found:
    """Return the full sandbox, or skip the test where this machine has none."""
    found = probe()
    if not isinstance(found, Found):
        pytest.skip(f"there is no sandbox here: {found.what}")
    return found


def program(
    candidate: str, tests: str = "assert solve(2) == 4", **more: Any
) -> Program:
    """Return a program whose candidate has to define `solve`."""
    given = {"name": "tried", "names": ("solve",), **more}
    return Program(candidate=candidate, tests=tests, **given)


def run(candidate: str, tests: str = "assert solve(2) == 4", **more: Any) -> Run:
    """Run one program in the full sandbox."""
    require_sandbox()
    limits = more.pop("limits", QUICK)
    (one,) = run_programs([program(candidate, tests, **more)], limits=limits)
    return one


def verdict(candidate: str, tests: str = "assert solve(2) == 4", **more: Any) -> str:
    """Return only how it went."""
    return run(candidate, tests, **more).outcome.verdict


def marked() -> str:
    """Tests with a word that can't be guessed."""
    return f"assert solve(2) == 'marker-{secrets.token_hex(8)}'"
