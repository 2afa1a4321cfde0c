"""Synthetic problems: what is checked of each, and how one is found by its number."""

from __future__ import annotations

import ast
import doctest
import re
from collections import Counter
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sandbox.probe import probe
from runtime.synth.catalogue import FAMILIES, chosen_families
from runtime.synth.checking import check
from runtime.synth.draws import Draws
from runtime.synth.duplicates import same_code, same_statement
from runtime.synth.exclusion import Excluded
from runtime.synth.family import UnsuitableError
from runtime.synth.layouts import LAYOUTS, Parts, document
from runtime.synth.mutation import instrumented, mutants
from runtime.synth.placement import capacity, core_number, place_of, weight
from runtime.synth.problem import candidate, finished
from runtime.synth.rendering import reference_code
from runtime.synth.shard import make_problems
from runtime.synth.verification import check_all, check_alone
from runtime.synth.wording import state
from specs.errors import InputError

GOOD = """
def largest(values):
    best = 0
    for value in values:
        if value > best:
            best = value
    return best
"""
ENDLESS = "def f():\n    while True:\n        pass\n"
REFERENCE = "def reference(values):\n    return max([0, *values])\n"
INPUTS = ["([],)", "([3],)", "([1, 7, 2],)", "([-4, 5],)", "([9, 9, 1],)", "([2, 8],)"]


def problem(**changes: Any) -> dict[str, Any]:
    return {
        "entry": "largest",
        "solution": GOOD,
        "reference": REFERENCE,
        "inputs": INPUTS,
        "num_edges": 1,
        "num_mutants": 20,
        "min_kill_rate": 0.9,
        "key": 0,
        **changes,
    }


def test_good_problem_passes_with_tests_that_kill_its_mutants() -> None:
    verdict = check(problem())
    assert verdict["ok"], verdict
    assert verdict["num_mutants"] >= 8
    assert verdict["kill_rate"] >= 0.9
    assert "assert largest([1, 7, 2]) == 7" in verdict["tests"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"solution": GOOD.replace("> best", "< best")}, "disagrees"),
        ({"solution": GOOD.replace("return best", "return values[0]")}, "raises"),
        ({"solution": GOOD.replace("= 0", "= 0.0")}, "disagrees"),
        ({"solution": GOOD.replace("best = 0", "values += [best := 0]")}, "changes"),
        ({"solution": GOOD.replace("= value\n", "= value; f()\n") + ENDLESS}, "steps"),
        ({"solution": "def largest(values:"}, "does not parse"),
        ({"solution": GOOD + "raise ValueError"}, "raises"),
        ({"solution": GOOD + ENDLESS + "f()"}, "steps"),
        ({"entry": "smallest"}, "raises"),
        ({"tests": ["assert largest([1]) == largest([1])"]}, "whatever"),
        ({"tests": ["assert largest([]) == 0", "assert True"]}, "whatever"),
        ({"solution": REFERENCE.replace("reference", "largest"),
          "tests": ["assert largest([7]) in (7, None)"]}, "kill no mutant"),
        ({"min_kill_rate": 1.1}, "few mutants"),
        ({"tests": ["assert largest([4]) == 5"]}, "fails its tests"),
        ({"inputs": ["([],)", *(f"([-{n}],)" for n in range(1, 20))]}, "hardly ever"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_planted_fault_is_caught(changes: dict[str, Any], reason: str) -> None:
    verdict = check(problem(**changes))
    assert not verdict["ok"]
    assert reason in verdict["reason"]


def test_mutants_are_other_programs_and_the_tree_is_left_as_it_was() -> None:
    tree = instrumented(GOOD)
    before = ast.dump(tree)
    made = list(mutants(tree, limit=100, key=0))
    assert ast.dump(tree) == before
    assert {one.operator for one in made} >= {"comparison", "constant", "removal"}
    assert all(one.code.co_code or one.code.co_consts for one in made)


def test_mutant_that_never_ends_is_stopped_by_a_count() -> None:
    source = "def f(n):\n    while n > 0:\n        n -= 1\n    return n\n"
    reference = "def reference(n):\n    return min(n, 0)\n"
    inputs = [f"({n},)" for n in (5, -1, -2, 3)]
    verdict = check(
        problem(entry="f", solution=source, reference=reference, inputs=inputs)
    )
    assert verdict["ok"], verdict
    assert verdict["mutants"]["removal"] == [2, 2]


def test_problem_that_kills_its_process_does_not_take_the_others_along() -> None:
    killer = GOOD.replace("best = 0", "import os; os._exit(1)")
    verdicts = check_all([problem(), problem(solution=killer)], level="process")
    assert [one["ok"] for one in verdicts] == [True, False]
    assert verdicts[1]["reason"] == "kills its process"


def test_sandbox_gives_the_same_verdict_as_a_plain_process() -> None:
    if not hasattr(probe("bubblewrap"), "facts"):
        pytest.skip("this machine has no bubblewrap that holds")
    walled = check_alone(problem(), level="bubblewrap")
    assert walled.pop("sandbox") == "bubblewrap"
    plain = check_alone(problem(), level="process")
    assert plain.pop("sandbox") == "process"
    assert walled == plain


def test_there_are_forty_families_with_names_of_their_own() -> None:
    assert len(FAMILIES) >= 40
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert capacity(FAMILIES) >= 100_000


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """Two or three problems of a family."""
    found, _ = make_problems(
        range(sum(map(weight, FAMILIES)) // 4),
        seed=5,
        families=FAMILIES,
        check=partial(check_all, level="process"),
    )
    return found


def test_problem_is_a_function_of_seed_and_index(made: list[dict[str, Any]]) -> None:
    indices = [made[3]["index"], made[-2]["index"]]
    again, _ = make_problems(
        indices, seed=5, families=FAMILIES, check=partial(check_all, level="process")
    )
    assert again == [made[3], made[-2]]


def test_most_families_are_met_in_one_block(made: list[dict[str, Any]]) -> None:
    assert len({one["family"] for one in made}) >= 0.8 * len(FAMILIES)


def test_no_two_problems_are_the_same(made: list[dict[str, Any]]) -> None:
    for name in ("same_code", "same_statement"):
        counts = Counter(one["certificate"][name] for one in made)
        assert max(counts.values()) == 1


def test_statement_is_whole_and_names_the_function(made: list[dict[str, Any]]) -> None:
    for one in made:
        told = one["statement"]
        assert one["entry"] in told
        prose = re.sub(r"`[^`]+`", "code", told)
        assert not re.search(r"[{}$]|\w  \w|[^.]\.\.$|\b[aA] [aeio]\w", prose), told
        assert told.isascii()
        assert told.rstrip().endswith((".", ":", "`")), told


def test_certificate_says_what_was_checked(made: list[dict[str, Any]]) -> None:
    for one in made:
        certificate = one["certificate"]
        assert certificate["inputs_agreed"] >= 5
        assert certificate["kill_rate"] >= 0.9
        assert certificate["sandbox"] == "process"
        assert certificate["python"].count(".") == 2


def runs(source: str, tests: list[str]) -> None:
    space: dict[str, Any] = {"__name__": "document"}
    exec(compile(source, "document", "exec"), space)
    for test in tests:
        exec(test, space)
    finder = doctest.DocTestFinder(recurse=False)
    for value in [value for value in space.values() if callable(value)]:
        for case in finder.find(value, module=False, globs=space):
            assert doctest.DocTestRunner(verbose=False).run(case).failed == 0


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_code_of_every_layout_runs_and_its_doctests_hold(layout: str) -> None:
    for family in FAMILIES[::4]:
        chosen = candidate(0, 0, seed=1, families=[family])
        verdict = check(chosen.to_check())
        if not verdict["ok"]:
            continue
        draws = Draws(9)
        examples = [(one, answer) for one, answer in verdict["examples"]]
        parts = Parts(
            draft=chosen.draft,
            style=chosen.style,
            statement=state(chosen.draft, chosen.style, examples, draws),
            tests=verdict["tests"],
        )
        text = document(layout, parts, draws)
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if layout == "listed-tests":
            text = text[text.rindex(verdict["tests"][0][:12]) :]
            blocks = [text.split("\n\n", 1)[1]]
        runs("\n".join(blocks) or text, verdict["tests"])


def test_finished_solution_is_the_code_that_was_checked() -> None:
    chosen = candidate(7, 0, seed=2, families=FAMILIES)
    (verdict,) = check_all([chosen.to_check()], level="process")
    if verdict["ok"]:
        assert finished(chosen, verdict)["solution"] == chosen.to_check()["solution"]


def test_excluded_ngram_sends_an_index_to_its_next_attempt() -> None:
    family = chosen_families(["partition"])
    plain = partial(check_all, level="process")
    (first,), _ = make_problems([0], seed=1, families=family, check=plain)
    words = re.findall(r"[a-z0-9]+", first["text"].lower())
    ngram = " ".join(words[8:16])
    (second,), rejected = make_problems(
        [0],
        seed=1,
        families=family,
        check=plain,
        excluded=Excluded({8: frozenset({ngram})}),
    )
    assert (0, 0, "partition", "excluded n-gram") in rejected
    assert second["certificate"]["attempt"] > first["certificate"]["attempt"]


@given(st.integers(0, 90_000), st.integers(0, 2**32))
def test_index_has_a_place_and_its_attempts_have_cores(index: int, seed: int) -> None:
    place = place_of(index, seed=seed, families=FAMILIES)
    cores = {core_number(place, attempt, seed=seed) for attempt in range(3)}
    assert len(cores) == 3
    assert all(0 <= core < place.family.size for core in cores)


def test_no_core_is_used_twice() -> None:
    family = chosen_families(["parents"])
    slots = range(capacity(family))
    used = [
        core_number(place_of(index, seed=3, families=family), attempt, seed=3)
        for index in slots
        for attempt in range(3)
    ]
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_different_cores_ask_for_different_things(family: Any) -> None:
    asked: dict[tuple[str, str], int] = {}
    for draw in range(60):
        number = Draws(draw).below(family.size)
        try:
            draft = family.build(family.core(number), Draws(1))
        except UnsuitableError:
            continue
        portion = str(family.core(number).get("portion"))
        told = (same_code(reference_code(draft)), portion)
        assert asked.setdefault(told, number) == number


def test_same_code_ignores_names_and_sees_everything_else() -> None:
    one = same_code("def f(a, b):\n    'Doc.'\n    return a - b\n")
    assert one == same_code("def g(x: int, y: int) -> int:\n    return x - y\n")
    assert one != same_code("def f(a, b):\n    return b - a\n")
    assert one != same_code("def f(a, b):\n    return a - b - 0\n")
    told = same_statement("Return `a` plus 3.", "f", ["a"])
    assert told == same_statement("return `b` plus 3", "f", ["b"])
    assert told != same_statement("Return `a` plus 4.", "f", ["a"])


def test_unknown_family_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'partitoin'\n.*did you mean 'partition'"):
        chosen_families(["partitoin"])
