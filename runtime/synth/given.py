"""Tests and inputs that somebody else wrote. Runs inside the sandbox: standard library.

A test that passes whatever the function returns says nothing, such as a call compared
with itself: it is found by putting functions in place of the solution that return what
no solution does.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from types import CodeType
from typing import Any

from runtime.synth.execution import OutOfSteps, Rejected, Steps, load, tick
from runtime.synth.mutation import TICK, instrumented

MOST_STEPS = 1_000_000
FEWEST_DIFFERENT = 10
"""Random inputs that must differ from each other."""


def random_inputs(source: str, *, number: int, key: int) -> list[str]:
    """Draw inputs by a `random_input(rng)` that came with a problem.

    Args:
        source: A module that defines it.
        number: How many are drawn.
        key: Of the draws.

    Raises:
        Rejected: It fails, or returns something else than tuples of literals.
    """
    rng = random.Random(key)
    found = []
    try:
        Steps.left = MOST_STEPS
        draw = load(compile(instrumented(source), "inputs", "exec"), "random_input")
        for _ in range(number):
            Steps.left = MOST_STEPS
            found.append(_literal(draw(rng)))
    except OutOfSteps:
        raise Rejected("random inputs take too many steps") from None
    except Rejected:
        raise
    except Exception as error:  # noqa: BLE001  whatever a program raises
        told = f"{type(error).__name__}: {error}"
        raise Rejected("random inputs raise", told) from None
    if len(set(found)) < FEWEST_DIFFERENT:
        raise Rejected("random inputs hardly differ", found[0])
    return found


def check_tests(tests: Sequence[str], code: CodeType, entry: str) -> None:
    """Run tests with the solution, and with what no solution is.

    Raises:
        Rejected: One fails, or one passes whatever the function returns.
    """
    run_tests(tests, code, entry)
    for test in tests:
        if all(_passes(test, code, entry, answer) for answer in (object(), None)):
            raise Rejected("a test passes whatever the function returns", test)


def fail(tests: Sequence[str], code: CodeType, entry: str) -> bool:
    """Say whether a program fails one of its tests."""
    try:
        run_tests(tests, code, entry)
    except Rejected:
        return True
    return False


def run_tests(tests: Sequence[str], code: CodeType, entry: str) -> None:
    """Run tests with a program.

    Raises:
        Rejected: One of them fails.
    """
    space = _space()
    Steps.left = MOST_STEPS
    try:
        exec(code, space)
        for test in tests:
            exec(compile(test, "test", "exec"), space)
    except (Exception, OutOfSteps) as error:  # noqa: BLE001
        raise Rejected("fails its tests", f"{type(error).__name__}: {error}") from None


def _passes(test: str, code: CodeType, entry: str, answer: object) -> bool:
    space = _space()
    Steps.left = MOST_STEPS
    try:
        exec(code, space)
        space[entry] = lambda *_, **__: answer
        exec(compile(test, "test", "exec"), space)
    except (Exception, OutOfSteps):  # noqa: BLE001
        return False
    return True


def _space() -> dict[str, Any]:
    return {TICK: tick, "__name__": "solution"}


def _literal(arguments: object) -> str:
    source = repr(arguments)
    try:
        is_same = isinstance(arguments, tuple) and ast.literal_eval(source) == arguments
    except (ValueError, SyntaxError):
        is_same = False
    if not is_same:
        raise Rejected("random inputs are no tuples of literals", source)
    return source
