"""Programs for tests of the sandbox, and whether this machine has one."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.sandbox.probe import Found, probe
from runtime.sandbox.programs import run_programs
from runtime.sandbox.values import Limits, Program, Run

QUICK = Limits(seconds=5.0)
"""Enough for an honest program on a busy machine."""


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
