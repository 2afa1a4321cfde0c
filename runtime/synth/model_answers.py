"""What a model answers when it is asked for a problem, read and checked unrun."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from runtime.synth.permitted import what_is_not_permitted
from specs.canonical import digest_of

FEWEST_EDGES, FEWEST_TESTS = 3, 4
MOST_CHARS = 20_000
"""Of any part of an answer."""


class UnreadableError(Exception):
    """The model's answer is not what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A problem as a model wrote it, without a second solution."""

    statement: str
    entry: str
    solution: str
    random_input: str
    """A module that defines `random_input(rng)`."""
    edges: tuple[str, ...]
    """Sources of tuples of arguments."""
    tests: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Digest over all of it."""
        lists = {"edges": list(self.edges), "tests": list(self.tests)}
        return digest_of(asdict(self) | lists)

    @property
    def params(self) -> list[str]:
        """Names of the function's parameters."""
        arguments = _function(ast.parse(self.solution), self.entry).args
        return [one.arg for one in (*arguments.posonlyargs, *arguments.args)]


def read_written(answer: str) -> Written:
    """Read the answer to a request for a problem; a code fence around it is allowed.

    Raises:
        UnreadableError: It is not the object that was asked for.
    """
    told = _object(answer)
    written = Written(
        statement=_text(told, "statement"),
        entry=_text(told, "entry"),
        solution=_text(told, "solution"),
        random_input=_text(told, "random_input"),
        edges=_texts(told, "edges"),
        tests=_texts(told, "tests"),
    )
    _check_code("solution", written.solution, written.entry)
    _check_code("random_input", written.random_input, "random_input")
    if f"`{written.entry}" not in written.statement:
        raise UnreadableError("the statement does not name the function in backticks")
    if len(set(written.edges)) < FEWEST_EDGES or len(written.tests) < FEWEST_TESTS:
        raise UnreadableError("too few edges or tests")
    for source in written.edges:
        if not isinstance(_literal(source), tuple):
            raise UnreadableError(f"not a tuple of literals: {source[:80]}")
    for test in written.tests:
        if not re.match(rf"assert\b[^\n]*\b{re.escape(written.entry)}\(.*\Z", test):
            raise UnreadableError(f"not an assertion on the function: {test[:80]}")
        _check_code("a test", test, None)
    return written


def read_reference(answer: str) -> str:
    """Read the answer to a request for a second solution.

    Raises:
        UnreadableError: It is not the object that was asked for.
    """
    source = _text(_object(answer), "reference")
    _check_code("reference", source, "reference")
    return source


def _object(answer: str) -> dict[str, Any]:
    fenced = re.search(r"```(?:json)?\s*\n(.*)\n\s*```", answer, re.DOTALL)
    try:
        # Models write line breaks into strings; what they mean is plain.
        told = json.loads(fenced[1] if fenced else answer, strict=False)
    except (ValueError, RecursionError):
        raise UnreadableError("no JSON") from None
    if not isinstance(told, dict):
        raise UnreadableError("no JSON object")
    return told


def _text(told: dict[str, Any], name: str) -> str:
    text = told.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > MOST_CHARS:
        raise UnreadableError(f"{name} is no text, or too long")
    if not text.isprintable() and not all(c.isprintable() or c in "\n\t" for c in text):
        raise UnreadableError(f"{name} holds characters that can't be shown")
    return text


def _texts(told: dict[str, Any], name: str) -> tuple[str, ...]:
    items = told.get(name)
    if not isinstance(items, list) or len(items) > 100:
        raise UnreadableError(f"{name} is no list of strings")
    return tuple(_text({name: one}, name) for one in items)


def _check_code(name: str, source: str, entry: str | None) -> None:
    try:
        tree = ast.parse(source)
        found = what_is_not_permitted(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"{name} does not parse: {error}") from None
    if found is not None:
        raise UnreadableError(f"{name} uses what it may not: {found}")
    if entry is not None:
        _function(tree, entry)


def _function(tree: ast.Module, entry: str) -> ast.FunctionDef:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            return node
    raise UnreadableError(f"there is no function {entry}")


def _literal(source: str) -> Any:
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
