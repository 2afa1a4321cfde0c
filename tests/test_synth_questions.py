"""Questions on verified problems: one right answer, one wrong, both by running them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from runtime.synth import questions
from runtime.synth.questions import main, passes, program_question, value_question
from specs.task_files import load_task

ROOT = Path(__file__).parent.parent
TASKS = ROOT / "specs" / "mini" / "tasks"

PROBLEM: dict[str, Any] = {
    "id": "sums-1",
    "family": "sums",
    "statement": "Add up the numbers below 3.",
    "solution": (
        "def total(items):\n"
        "    found = 0\n"
        "    for item in items:\n"
        "        if item < 3:\n"
        "            found += item\n"
        "    return found\n"
    ),
    "tests": [
        "assert total([]) == 0",
        "assert total([1, 2]) == 3",
        "assert total([3, 1]) == 1",
        "assert total([1, 2, 2, 2, 2, 2, 2]) == 13",
    ],
}


def test_a_wrong_program_fails_a_test_and_the_right_one_none() -> None:
    asked = program_question(PROBLEM)
    assert asked is not None
    assert passes(asked["right"], PROBLEM["tests"])
    assert not passes(asked["wrong"], PROBLEM["tests"])
    # One fault: the trees have as many nodes, or nearly.
    sizes = [len([*ast.walk(ast.parse(asked[way]))]) for way in ("right", "wrong")]
    assert abs(sizes[0] - sizes[1]) <= 4
    assert asked == program_question(PROBLEM)


def test_a_fault_that_no_test_finds_is_not_asked() -> None:
    assert program_question({**PROBLEM, "tests": ["assert True"]}) is None


def test_a_program_that_never_ends_is_wrong() -> None:
    assert not passes("def f():\n    while True:\n        pass\n", ["f()"])


def test_a_wrong_value_is_one_of_another_test_about_as_long() -> None:
    asked = value_question(PROBLEM)
    assert asked is not None
    assert f"assert {asked['call']} == {asked['right']}" in PROBLEM["tests"]
    assert asked["wrong"] in {"0", "1", "3", "13"} - {asked["right"]}
    if asked["right"] != "13":
        assert len(asked["wrong"]) == 1


@pytest.mark.parametrize(
    "tests",
    [
        ["assert total([]) == 0"],
        ["assert total([]) == 0", "assert total([0]) == 0"],
        ["assert total([]) == 0", "assert total([1]) == True"],
        ["assert total([]) is None", "assert not total([1])"],
    ],
)
def test_without_two_answers_of_a_type_nothing_is_asked(tests: list[str]) -> None:
    assert value_question({**PROBLEM, "tests": tests}) is None


def test_what_is_too_long_is_not_asked() -> None:
    long = "x" * questions.MAX_CHARS
    assert program_question({**PROBLEM, "statement": long}) is None
    assert value_question({**PROBLEM, "solution": long}) is None


def test_files_have_the_fields_of_their_tasks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(questions, "read_shard", lambda path: [PROBLEM])
    assert main(["shard", str(tmp_path)]) == 0
    asked = {"programs": program_question(PROBLEM), "values": value_question(PROBLEM)}
    for name, question in asked.items():
        assert (tmp_path / f"{name}.jsonl").read_text("utf-8").count("\n") == 1
        task = load_task(TASKS / f"mini-{name}.yaml")
        assert question is not None
        assert set(task.data.fields) <= set(question)
