"""Checks of problems, done inside the sandbox. Standard library alone.

A problem passes when its solution agrees with an independent one on every input,
leaves its arguments alone, and when its tests tell the solution from its mutants.
Tests are chosen here: inputs that kill mutants which the tests so far let live.
`main` reads problems from stdin and writes verdicts to stdout, JSON both.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from runtime.synth.execution import (
    Case,
    OutOfSteps,
    OutOfTime,
    Rejected,
    Steps,
    load,
    same,
)
from runtime.synth.given import check_tests, fail, random_inputs, run_tests
from runtime.synth.mutation import Mutant, instrumented, mutants

FEWEST_TESTS, MOST_TESTS = 4, 12
MAX_TEST_CHARS = 240
"""A test with longer arguments and answer is for a machine, not for a reader."""
SINGLES = ("None", "True", "False")
"""Answers of which there is one each, so that they are compared with `is`."""
MOST_STEPS = 1_000_000
"""Loop turns and calls that a solution may take for one input."""
MOST_COMMON_ANSWER = 0.9
"""Share of inputs that may have the same answer; above it the problem says little."""


def check(problem: dict[str, Any]) -> dict[str, Any]:
    """Check one problem.

    Args:
        problem: `solution` and `reference` (source), `entry`, `inputs` (sources of
            tuples, the first `num_edges` of them special), `num_mutants`, `key`,
            `min_kill_rate`; of a problem that somebody else wrote also `tests`,
            sources of assertions, `random_input`, source of a module, and
            `num_random`.
    """
    try:
        return {"ok": True, **_check(problem)}
    except Rejected as no:
        return {"ok": False, "reason": no.reason, "detail": no.detail}
    except OutOfTime:
        return {"ok": False, "reason": "time", "detail": ""}


def _check(problem: dict[str, Any]) -> dict[str, Any]:
    entry, source = problem["entry"], problem["solution"]
    tree = _parsed(source)
    solution = _started(tree, entry)
    reference = _started(_parsed(problem["reference"]), "reference")
    cases = [Case(one) for one in dict.fromkeys(_inputs(problem))]
    for case in cases:
        _agree(case, solution, reference)
    _vary(cases)
    faults = list(mutants(tree, limit=problem["num_mutants"], key=problem["key"]))
    code, given = compile(source, "solution", "exec"), problem.get("tests", [])
    check_tests(given, code, entry)
    chosen, report = _choose_tests(cases, faults, entry, problem["num_edges"], given)
    own = [_test(entry, case) for case in chosen]
    run_tests(own, code, entry)
    tests = list(dict.fromkeys([*given, *own]))
    report["examples"] = [[_call(one.source), repr(one.answer)] for one in chosen]
    if report["kill_rate"] < problem["min_kill_rate"]:
        raise Rejected("tests kill too few mutants", f"{report['kill_rate']:.2f}")
    steps = max(case.steps for case in cases)
    return {"tests": tests, "num_inputs": len(cases), "steps": steps, **report}


def _inputs(problem: dict[str, Any]) -> list[str]:
    if "random_input" not in problem:
        return problem["inputs"]  # type: ignore[no-any-return]
    drawn = random_inputs(
        problem["random_input"], number=problem["num_random"], key=problem["key"]
    )
    return [*problem["inputs"], *drawn]


def _parsed(source: str) -> Any:
    try:
        return instrumented(source)
    except SyntaxError as error:
        raise Rejected("does not parse", str(error)) from None


def _started(tree: Any, entry: str) -> Callable[..., Any]:
    Steps.left = MOST_STEPS
    try:
        return load(compile(tree, "program", "exec"), entry)
    except OutOfSteps:
        raise Rejected("too many steps", entry) from None
    except Exception as error:  # noqa: BLE001  whatever a program raises
        raise Rejected("raises", f"{type(error).__name__}: {error}") from None


def _agree(
    case: Case, solution: Callable[..., Any], reference: Callable[..., Any]
) -> None:
    arguments = case.arguments()
    before = repr(arguments)
    Steps.left = MOST_STEPS
    try:
        case.answer = solution(*arguments)
        case.steps = MOST_STEPS - Steps.left
        Steps.left = MOST_STEPS
        wanted = reference(*case.arguments())
    except OutOfSteps:
        raise Rejected("too many steps", case.source) from None
    except Exception as error:  # noqa: BLE001  whatever a program raises
        told = f"{type(error).__name__}: {error} for {case.source}"
        raise Rejected("raises", told) from None
    if not same(case.answer, wanted):
        told = f"{case.answer!r} is not {wanted!r} for {case.source}"
        raise Rejected("disagrees with the reference", told)
    if repr(arguments) != before:
        raise Rejected("changes its arguments", case.source)


def _vary(cases: list[Case]) -> None:
    answers = Counter(repr(case.answer) for case in cases)
    answer, times = answers.most_common(1)[0]
    if times > MOST_COMMON_ANSWER * len(cases) and len(cases) > 1:
        raise Rejected("the answer hardly ever changes", answer)


def _choose_tests(
    cases: list[Case],
    faults: list[Mutant],
    entry: str,
    num_edges: int,
    given: list[str],
) -> tuple[list[Case], dict[str, Any]]:
    """Begin with a few inputs; add each that kills a mutant which has lived so far.

    Where tests were given, they stand in place of the inputs to begin with.
    """
    readable = [case for case in cases if case.test_chars <= MAX_TEST_CHARS]
    tests = [] if given else _first_tests(readable, num_edges)
    if not (given or tests):
        raise Rejected("no test is short enough")
    spare = [case for case in readable if case not in tests]
    made, killed, alike = Counter[str](), Counter[str](), Counter[str]()
    num_by_given = 0
    for fault in faults:
        made[fault.operator] += 1
        if given and fail(given, fault.code, entry):
            killed[fault.operator] += 1
            num_by_given += 1
            continue
        function = _loaded(fault, entry)
        if function is None or any(case.kills(function) for case in tests):
            killed[fault.operator] += 1
            continue
        killer = next((case for case in spare if case.kills(function)), None)
        if killer is not None and len(given) + len(tests) < MOST_TESTS:
            tests.append(killer)
            spare.remove(killer)
            killed[fault.operator] += 1
        elif killer is None and not any(case.kills(function) for case in cases):
            alike[fault.operator] += 1
    if given and faults and not num_by_given:
        raise Rejected("tests kill no mutant")
    tests.sort(key=lambda case: case.test_chars)
    return tests, _report(made, killed, alike)


def _first_tests(readable: list[Case], num_edges: int) -> list[Case]:
    edges, others = readable[:num_edges], readable[num_edges:]
    tests: list[Case] = []
    seen: set[str] = set()
    # Two edge cases at most to begin with, and answers that differ.
    for case in edges[:2] + others:
        answer = repr(case.answer)
        if answer not in seen and len(tests) < FEWEST_TESTS:
            seen.add(answer)
            tests.append(case)
    return (
        tests + [one for one in others if one not in tests][: FEWEST_TESTS - len(tests)]
    )


def _loaded(fault: Mutant, entry: str) -> Callable[..., Any] | None:
    Steps.left = MOST_STEPS
    try:
        return load(fault.code, entry)
    except (Exception, OutOfSteps):  # noqa: BLE001
        return None


def _report(
    made: Counter[str], killed: Counter[str], alike: Counter[str]
) -> dict[str, Any]:
    """Rate kills among the mutants that some input tells from the solution."""
    num_made, num_killed, num_alike = map(Counter.total, (made, killed, alike))
    return {
        "mutants": {name: [made[name], killed[name]] for name in sorted(made)},
        "num_mutants": num_made,
        "num_killed": num_killed,
        "num_alike": num_alike,
        "kill_rate": num_killed / max(1, num_made - num_alike),
    }


def _test(entry: str, case: Case) -> str:
    sign = "is" if repr(case.answer) in SINGLES else "=="
    return f"assert {entry}{_call(case.source)} {sign} {case.answer!r}"


def _call(source: str) -> str:
    return f"{source[:-2]})" if source.endswith(",)") else source


def _out_of_time(*_: object) -> None:
    raise OutOfTime


def main() -> None:
    """Check the problems on stdin, each within its seconds.

    What the programs print goes nowhere, and the answer carries a word that only our
    caller knows: a program that prints and ends the process does not pass for us.
    """
    work = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGALRM, _out_of_time)
    verdicts = []
    for problem in work["problems"]:
        signal.setitimer(signal.ITIMER_REAL, work["seconds_per_problem"])
        verdict = check(problem)
        signal.setitimer(signal.ITIMER_REAL, 0)
        verdicts.append(verdict)
    told = {
        "python": sys.version.split()[0],
        "verdicts": verdicts,
        "word": work["word"],
    }
    json.dump(told, answers)
    answers.close()
