"""Running programs step by counted step, and comparing what they return.

This file runs inside the sandbox: standard library alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from runtime.synth.mutation import TICK

STEPS_FOR_MUTANTS = 20
"""Times the steps of the solution, and a thousand more, that a mutant may take."""


class Rejected(Exception):
    """The problem is not good, and why."""

    def __init__(self, reason: str, detail: str = ""):
        """Take a reason that can be counted, and what it was this time."""
        super().__init__(reason)
        self.reason, self.detail = reason, detail[:300]


class OutOfSteps(BaseException):
    """A program did not end within its steps."""


class OutOfTime(BaseException):
    """A problem did not end within its seconds: the last resort."""


class Steps:
    """Steps that are left."""

    left = 0


def tick() -> None:
    """Count a loop turn or a call of instrumented code."""
    Steps.left -= 1
    if Steps.left < 0:
        raise OutOfSteps


def load(code: CodeType, entry: str) -> Callable[..., Any]:
    """Run a program and return its function."""
    space: dict[str, Any] = {TICK: tick, "__name__": "solution"}
    exec(code, space)
    function = space[entry]
    assert callable(function)
    return function  # type: ignore[no-any-return]


class Case:
    """One input and what is known of it."""

    def __init__(self, source: str):
        """Take the arguments as the source of a tuple."""
        self.source = source
        self.code = compile(source, "input", "eval")
        self.answer: Any = None
        self.steps = 0

    def arguments(self) -> tuple[Any, ...]:
        """Build the arguments anew, so that no call sees another's changes."""
        return eval(self.code, {})  # type: ignore[no-any-return]

    def kills(self, function: Callable[..., Any]) -> bool:
        """Say whether a mutant's answer is wrong."""
        Steps.left = self.steps * STEPS_FOR_MUTANTS + 1000
        try:
            answer = function(*self.arguments())
            return not same(answer, self.answer)
        except (Exception, OutOfSteps):  # noqa: BLE001
            return True

    @property
    def test_chars(self) -> int:
        """Length of the test that it would make."""
        return len(self.source) + len(repr(self.answer))


def same(one: Any, other: Any) -> bool:
    """Compare values and their types: True is not 1.

    >>> same([1, 2], [1, 2]), same(1, True), same((1,), [1]), same([1], [1.0])
    (True, False, False, False)
    """
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, list | tuple):
        return all(map(same, one, other))
    if isinstance(one, dict):
        return list(map(type, one.values())) == list(map(type, other.values()))
    return True
