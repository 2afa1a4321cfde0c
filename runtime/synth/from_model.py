"""Problems that a model writes, verified like our own.

The model is behind `complete`: chat messages in, text out, whatever endpoint answers.
It is asked for a statement, a solution, an independent reference, inputs and tests, all
of them as one JSON object. Nothing of it is believed: solution and reference have to
agree, and the tests it wrote have to kill mutants. Its code runs alone in the sandbox.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.keys import key
from runtime.synth.duplicates import same_code, same_statement, shape
from runtime.synth.exclusion import NOTHING, Excluded
from runtime.synth.isolation import Level
from runtime.synth.problem import MIN_KILL_RATE, NUM_MUTANTS, difficulty
from runtime.synth.verification import check_alone
from specs.canonical import digest_of

Messages = Sequence[Mapping[str, str]]
Complete = Callable[[Messages], str]
"""Asks a model: chat messages with `role` and `content` in, its answer out."""

FEWEST_INPUTS, FEWEST_TESTS = 10, 3
VERSION = 1
"""Of the request below; part of every document."""

_REQUEST = """Write one Python programming problem about {topic}, of {grade} difficulty.

Answer with one JSON object and nothing else. Its keys:
"statement": the task, in whole sentences; it names the function in backticks, the
  arguments, the result, and what happens at the edges.
"entry": the name of the function.
"solution": source of a module that defines it, standard library only, no input or
  output, no randomness.
"reference": source of a module that defines `reference` with the same arguments; it
  solves the same task in a clearly different, slower and more obvious way.
"inputs": a list of at least {inputs} strings, each the source of a tuple of arguments
  made of literals, such as "([1, 2], 3)"; small cases and edge cases among them.
"tests": a list of at least {tests} assertions, each a string of one line.
"""


class UnreadableError(Exception):
    """The model's answer is not what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A problem as a model wrote it."""

    statement: str
    entry: str
    solution: str
    reference: str
    inputs: tuple[str, ...]
    tests: tuple[str, ...]


def request(topic: str, grade: str) -> list[dict[str, str]]:
    """Return the messages that ask for a problem.

    >>> [message["role"] for message in request("graphs", "easy")]
    ['user']
    """
    content = _REQUEST.format(
        topic=topic, grade=grade, inputs=FEWEST_INPUTS, tests=FEWEST_TESTS
    )
    return [{"role": "user", "content": content}]


def read_answer(answer: str) -> Written:
    """Read a model's answer; a code fence around it is allowed.

    Raises:
        UnreadableError: It is not the object that was asked for.
    """
    fenced = re.search(r"```(?:json)?\n(.*)\n```", answer, re.DOTALL)
    try:
        told = json.loads(fenced[1] if fenced else answer)
    except ValueError as error:
        raise UnreadableError(f"no JSON: {error}") from None
    if not isinstance(told, dict):
        raise UnreadableError("no JSON object")
    texts = {name: told.get(name) for name in ("statement", "entry", "solution",
                                               "reference")}  # fmt: skip
    lists = {name: told.get(name) for name in ("inputs", "tests")}
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise UnreadableError(f"{name} is no text")
    for name, items in lists.items():
        if not isinstance(items, list) or not all(
            isinstance(one, str) for one in items
        ):
            raise UnreadableError(f"{name} is no list of strings")
    written = Written(**texts, **{name: tuple(lists[name]) for name in lists})  # type: ignore[arg-type]
    _check_form(written)
    return written


def write_problem(
    complete: Complete,
    *,
    topic: str,
    grade: str,
    level: Level = "bubblewrap",
    excluded: Excluded = NOTHING,
) -> dict[str, Any]:
    """Ask for one problem and verify it.

    Returns:
        A document as in a shard, or `{"rejected": reason, "detail": text}`.
    """
    try:
        written = read_answer(complete(request(topic, grade)))
    except UnreadableError as error:
        return {"rejected": "unreadable answer", "detail": str(error)}
    return verify(written, topic=topic, level=level, excluded=excluded)


def verify(
    written: Written, *, topic: str, level: Level, excluded: Excluded = NOTHING
) -> dict[str, Any]:
    """Verify a problem; returns what `write_problem` does."""
    identity = digest_of(
        {
            **asdict(written),
            "inputs": list(written.inputs),
            "tests": list(written.tests),
        }
    )
    if shape(_renamed(written.reference)) == shape(_renamed(written.solution)):
        return {"rejected": "the reference is the solution", "detail": ""}
    verdict = check_alone(
        {
            "entry": written.entry,
            "solution": written.solution,
            "reference": written.reference,
            "inputs": list(written.inputs),
            "num_edges": 0,
            "tests": list(written.tests),
            "num_mutants": NUM_MUTANTS,
            "min_kill_rate": MIN_KILL_RATE,
            "key": key(0, "model", identity),
        },
        level=level,
    )
    if not verdict["ok"]:
        return {"rejected": verdict["reason"], "detail": verdict["detail"]}
    tests = "\n".join(written.tests)
    text = f"{written.statement.strip()}\n\n{written.solution.strip()}\n\n\n{tests}\n"
    if excluded.found_in(text) is not None:
        return {"rejected": "excluded n-gram", "detail": ""}
    return {
        "id": f"model-{identity[:16]}",
        "family": "model",
        "topic": topic,
        "difficulty": difficulty(written.solution, 0),
        "layout": "plain",
        "style": "model",
        "entry": written.entry,
        "statement": written.statement,
        "solution": written.solution,
        "tests": list(written.tests),
        "text": text,
        "certificate": {
            "request_version": VERSION,
            "inputs_agreed": verdict["num_inputs"],
            "kill_rate": round(verdict["kill_rate"], 4),
            "mutants": verdict["mutants"],
            "mutants_alike": verdict["num_alike"],
            "max_steps": verdict["steps"],
            "python": verdict["python"],
            "sandbox": verdict["sandbox"],
            "same_code": same_code(written.solution),
            "same_statement": same_statement(written.statement, written.entry, []),
            "shape": shape(written.solution),
        },
    }


def _check_form(written: Written) -> None:
    """Check what can be checked without running anything.

    Raises:
        UnreadableError: Something is not as asked.
    """
    for name, source, wanted in (
        ("solution", written.solution, written.entry),
        ("reference", written.reference, "reference"),
    ):
        try:
            body = ast.parse(source).body
        except SyntaxError as error:
            raise UnreadableError(f"{name} does not parse: {error}") from None
        if wanted not in [getattr(node, "name", None) for node in body]:
            raise UnreadableError(f"{name} does not define {wanted}")
    if written.entry not in written.statement:
        raise UnreadableError("the statement does not name the function")
    if len(set(written.inputs)) < FEWEST_INPUTS or len(written.tests) < FEWEST_TESTS:
        raise UnreadableError("too few inputs or tests")
    for source in written.inputs:
        try:
            is_tuple = isinstance(ast.literal_eval(source), tuple)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            is_tuple = False
        if not is_tuple:
            raise UnreadableError(f"not a tuple of literals: {source[:80]}")
    for test in written.tests:
        if not re.match(rf"assert\b.*\b{re.escape(written.entry)}\(", test):
            raise UnreadableError(f"not an assertion on the function: {test[:80]}")


def _renamed(source: str) -> str:
    """Return a program whose first function has no name of its own."""
    return re.sub(r"(?m)^def \w+\(", "def function(", source)
