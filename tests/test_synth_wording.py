"""What a careful reader would mark in a problem: names, grammar, work for nothing."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from runtime.synth.catalogue import FAMILIES
from runtime.synth.draws import Draws
from runtime.synth.families.machines import _what_happens
from runtime.synth.family import Draft, UnsuitableError
from runtime.synth.line_breaks import WIDTH
from runtime.synth.local_names import LOCALS, TOGETHER
from runtime.synth.placement import weight
from runtime.synth.problem import candidate
from runtime.synth.rendering import draw_style, solution_code
from runtime.synth.shard import make_problems
from runtime.synth.tidying import tidied
from runtime.synth.verification import check_all


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """Three or four problems of a family."""
    found, _ = make_problems(
        range(sum(map(weight, FAMILIES)) // 3),
        seed=11,
        families=FAMILIES,
        check=partial(check_all, level="process"),
    )
    return found


@pytest.fixture(scope="module")
def drafts() -> list[tuple[str, Draft]]:
    """Thirty drafts of every family, as far as their cores make sense."""
    found = []
    for family in FAMILIES:
        for draw in range(30):
            core = family.core(Draws(draw).below(family.size))
            try:
                found.append((family.name, family.build(core, Draws(draw))))
            except UnsuitableError:
                continue
    return found


@pytest.fixture(scope="module")
def solutions(drafts: list[tuple[str, Draft]]) -> list[str]:
    """All ways to solve them."""
    return [
        solution_code(replace(draft, solutions={way: code}), style)
        for _, draft in drafts
        for way, code in draft.solutions.items()
        for style in [draw_style(replace(draft, solutions={way: code}), Draws(1))]
    ]


def test_article_fits_what_follows(drafts: list[tuple[str, Draft]]) -> None:
    for _, draft in drafts:
        told = " ".join((draft.given, draft.task, *draft.rules, draft.context))
        # The letter a is one of the nouns.
        told = re.sub(r"\ba (or|again|in|after|is)\b", "", told)
        assert not re.search(r"\b[aA] `?(?!one|use|un)[aeiou]\w+", told), told
        assert not re.search(r"\b[aA]n `?[bcdfgkmpqtvwz]\w", told), told


def test_docstring_points_to_nothing_below_it(made: list[dict[str, Any]]) -> None:
    for one in made:
        told = re.search(r'"""Return [^"]{,60}(described|defined) below', one["text"])
        assert one["layout"].startswith("docstring") or not told, one["text"]


def test_one_of_a_kind_is_compared_with_is(made: list[dict[str, Any]]) -> None:
    for one in made:
        assert not re.search(r"== (True|False|None)\b", one["text"]), one["text"]


def test_solution_keeps_nothing_that_it_does_not_use(solutions: list[str]) -> None:
    for code in solutions:
        for function in ast.walk(ast.parse(code)):
            if isinstance(function, ast.FunctionDef):
                assert not unused(function), code


def unused(function: ast.FunctionDef) -> set[str]:
    """Names that a function assigns, one at a time, and never reads."""
    nodes = list(ast.walk(function))
    read = {
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    targets = [
        target
        for node in nodes
        if isinstance(node, ast.Assign | ast.AugAssign | ast.For)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {one.id for one in targets if isinstance(one, ast.Name)} - read - {"_"}


def test_no_loop_has_one_turn_by_its_text(solutions: list[str]) -> None:
    for code in solutions:
        assert "in range(1):" not in code
        assert not re.search(r"for \w+ in \([^,()]+,\)", code), code


@pytest.mark.parametrize("words", TOGETHER, ids="-".join)
def test_names_that_are_drawn_together_are_listed_together(
    words: tuple[str, ...],
) -> None:
    assert len({len(LOCALS[word]) for word in words if word in LOCALS}) == 1 or (
        words == ("area", "areas")
    )


def test_low_is_never_met_with_upper() -> None:
    pairs = {tuple(LOCALS[word][n] for word in ("low", "high")) for n in range(3)}
    met = set()
    for family in FAMILIES:
        for index in range(12):
            try:
                chosen = candidate(index, 0, seed=3, families=[family])
            except UnsuitableError:
                continue
            names = chosen.style.locals
            if {"low", "high"} <= set(names):
                met.add((names["low"], names["high"]))
    assert len(met) > 1
    assert met <= pairs


def test_long_lines_are_few(solutions: list[str]) -> None:
    lines = [line for code in solutions for line in code.split("\n")]
    assert sum(len(line) > WIDTH for line in lines) < len(lines) / 100


@pytest.mark.parametrize(
    ("line", "tidy"),
    [
        ("    return (x % 2 == 1 and x > 4)", "    return x % 2 == 1 and x > 4"),
        ("if not (a < b):", "if a >= b:"),
        ("    elif (a or b):", "    elif a or b:"),
        ("    n = ((n << 1) | (n >> 3)) & 15", "    n = ((n << 1) | (n >> 3)) & 15"),
        ("if ((n + 3) & ((n + 3) >> 1)):", "if ((n + 3) & ((n + 3) >> 1)):"),
        ("return sum(1 for x in xs if (x > 1))", "return sum(1 for x in xs if x > 1)"),
        (
            "return sorted((a, b) for a, b in xs if (b - a > 3))",
            "return sorted((a, b) for a, b in xs if b - a > 3)",
        ),
        (
            "return max(((a, b) for a in xs if (a > 1)), default=0)",
            "return max(((a, b) for a in xs if a > 1), default=0)",
        ),
        ("    x = f((a, b), c)", "    x = f((a, b), c)"),
    ],
)
def test_brackets_that_say_nothing_go(line: str, tidy: str) -> None:
    assert tidied(line) == tidy


def test_events_that_lead_to_one_state_are_told_together() -> None:
    told = _what_happens("a", {"x": "b", "y": "a", "z": "b"})
    assert told == "In the state `a`, `x` and `z` lead to `b`, and `y` changes nothing."
    told = _what_happens("a", {"x": "a", "y": "a"})
    assert told == "In the state `a`, `x` and `y` change nothing."


def test_treatments_of_case_are_for_what_has_one() -> None:
    family = next(one for one in FAMILIES if one.name == "treat-characters")
    for number in range(0, family.size, 7):
        core = family.core(number)
        if core["treatment"] == "swap" and core["class"] == "even":
            with pytest.raises(UnsuitableError):
                family.build(core, Draws(1))
