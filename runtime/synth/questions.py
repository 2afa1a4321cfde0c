"""Questions on verified problems, for models that are too small for benchmarks.

`python -m runtime.synth.questions SHARD FOLDER` makes two files of a shard's problems:

- `programs.jsonl`: a statement, its solution, and the solution with one small fault by
  which it fails its own tests;
- `values.jsonl`: a solution, a call of it, what the call returns, and what another of
  the problem's tests returns.

Programs run in this process, with their steps counted, as with `--sandbox process` of
`codemix data synth`: they are our own. Which fault and which test are taken is keyed
by the problem's name.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from runtime.keys import key
from runtime.synth.execution import OutOfSteps, Steps, tick
from runtime.synth.mutation import TICK, faulty_texts, instrumented
from runtime.synth.shard import read_shard
from specs.atomic import write_atomically

MAX_CHARS = 600
"""Of a question with its answer: some 250 tokens, so that a short context holds it."""
MAX_STEPS = 100_000
"""Of all tests of a program; a sound one takes some hundreds."""

Question = dict[str, str]


def program_question(problem: dict[str, Any]) -> Question | None:
    """Ask which of two programs a statement means; None: no fault was found."""
    tree = ast.parse(problem["solution"])
    right = ast.unparse(tree)
    if len(problem["statement"]) + len(right) > MAX_CHARS:
        return None
    for text in faulty_texts(problem["solution"], key=key(0, "fault", problem["id"])):
        # Both are written by `unparse`, so that their form tells nothing.
        if text != right and not passes(text, problem["tests"]):
            shown = {"statement": problem["statement"], "right": right, "wrong": text}
            return {"id": problem["id"], "family": problem["family"], **shown}
    return None


def passes(program: str, tests: Sequence[str]) -> bool:
    """Say whether a program passes its tests within its steps."""
    space: dict[str, Any] = {TICK: tick, "__name__": "solution"}
    Steps.left = MAX_STEPS
    try:
        exec(compile(instrumented(program), "solution", "exec"), space)
        for test in tests:
            exec(test, space)
    except (Exception, OutOfSteps):  # noqa: BLE001
        return False
    return True


def value_question(problem: dict[str, Any]) -> Question | None:
    """Ask what a call returns; None: no two tests have answers of one type."""
    tests = [one for one in map(_call_and_value, problem["tests"]) if one is not None]
    chosen = key(0, "value", problem["id"])
    for turn in range(len(tests)):
        call, right = tests[(chosen + turn) % len(tests)]
        if len(problem["solution"]) + len(call) + len(right) > MAX_CHARS:
            continue
        others = {value for _, value in tests if _is_other(value, right)}
        if others:
            shown = {"solution": problem["solution"], "call": call, "right": right}
            # About as long, or the shorter one would be the likelier.
            wrong = min(others, key=lambda one: (abs(len(one) - len(right)), one))
            found = {"id": problem["id"], "family": problem["family"]}
            return {**found, **shown, "wrong": wrong}
    return None


def _call_and_value(test: str) -> tuple[str, str] | None:
    """Divide `assert CALL == VALUE`; a test of another form has no question."""
    statement = ast.parse(test).body[0]
    if not isinstance(statement, ast.Assert):
        return None
    compared = statement.test
    if not isinstance(compared, ast.Compare) or len(compared.ops) != 1:
        return None
    if not isinstance(compared.ops[0], ast.Eq):
        return None
    return ast.unparse(compared.left), ast.unparse(compared.comparators[0])


def _is_other(value: str, right: str) -> bool:
    try:
        one, other = ast.literal_eval(value), ast.literal_eval(right)
    except ValueError:
        return False
    return type(one) is type(other) and one != other


def write_questions(shard: Path, folder: Path) -> dict[str, int]:
    """Write both files; returns how many questions each has."""
    problems = read_shard(shard)
    ways: dict[str, Callable[[dict[str, Any]], Question | None]] = {
        "programs.jsonl": program_question,
        "values.jsonl": value_question,
    }
    counts = {}
    for name, way in ways.items():
        questions = [one for one in map(way, problems) if one is not None]
        write_atomically(folder / name, _lines(questions))
        counts[name] = len(questions)
    return counts


def _lines(rows: Iterable[Question]) -> bytes:
    return "".join(f"{json.dumps(row, sort_keys=True)}\n" for row in rows).encode()


def main(arguments: Sequence[str]) -> int:
    """Run from a shell, as a stage of `dvc.yaml` does."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m runtime.synth.questions SHARD FOLDER\n")
        return 2
    for name, count in write_questions(*map(Path, arguments)).items():
        sys.stdout.write(f"{name}: {count:,} questions\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
