"""Completions become pass@k, and what a task defines stays the task's."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxes import require_sandbox

from evals.catalogue import shipped_task
from evals.pass_at_k import pass_at_k
from evals.programs import (
    check_samples,
    check_solutions,
    question_of,
    score_completions,
)
from runtime.sandbox import process
from specs.errors import InputError, RunError, SpecError
from specs.task import Task

# Of the form of HumanEval: a helper, then a function to complete.
DOUBLED = {
    "prompt": "import math\n\ndef helper(x):\n    return x + 1\n\n\ndef f(x):\n",
    "entry_point": "f",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert helper(candidate(math.floor(2.5))) == 5",
}
# Of the form of MBPP: the tests' own setup needs the candidate's class.
NODE = {
    "text": "Write a tree.",
    "code": "class Node:\r\n  def __init__(s, v): s.v = v\r\ndef top(n): return n.v",
    "test_setup_code": "root = Node(7)",
    "test_list": ["assert top(root) == 7", "assert top(Node(1)) == 1"],
}


def task_of(way: dict[str, object], fields: list[str]) -> Task:
    data = {"file": "x.jsonl", "split": "test", "licence": "none", "fields": fields}
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": "made-up",
            "version": 1,
            "data": data,
            "prompt": "{{ prompt }}",
            "program": {"stop": ["\n#"], **way},
        }
    )


def like_humaneval(**more: object) -> Task:
    source = "{{ prompt }}{{ completion }}\n{{ test }}\ncheck({{ entry_point }})\n"
    way = {"source": source, "solution": "{{ canonical_solution }}", **more}
    return task_of(way, list(DOUBLED))


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_choices_of_k_with_a_pass(
    n: int, data: st.DataObject
) -> None:
    passed = [True] * (c := data.draw(st.integers(0, n))) + [False] * (n - c)
    for k in range(1, n + 1):
        choices = [any(some) for some in combinations(passed, k)]
        assert pass_at_k(n, c, k) == sum(choices) / len(choices)


def test_pass_at_k_of_more_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="pass@3"):
        pass_at_k(2, 1, 3)
    with pytest.raises(SpecError, match=r"program\.k: pass@10 takes 10 samples, got 2"):
        check_samples(like_humaneval(samples=2, k=[1, 10]))
    check_samples(like_humaneval(samples=10, k=[1, 10]))


def test_a_program_is_parted_into_candidate_tests_and_what_is_given() -> None:
    question = question_of(like_humaneval(), DOUBLED)
    assert question.names == ("f",)
    assert "def helper" in question.given
    assert "import math" in question.given
    assert "def f" not in question.given
    assert question.tests.endswith("check(f)\n")
    one = question.program("    return 3\n", name="0")
    assert one.candidate == DOUBLED["prompt"] + "    return 3\n"
    assert "check" not in one.candidate


@pytest.mark.parametrize(
    "source",
    ["{{ test }}", "{{ completion }}\n{{ completion }}", "{{ completion | trim }}\n1"],
)
def test_a_program_that_can_not_be_parted_is_refused(source: str) -> None:
    with pytest.raises(SpecError, match=r"program\.source: must hold"):
        question_of(like_humaneval(source=source), DOUBLED)


def test_a_row_that_is_no_python_is_named() -> None:
    with pytest.raises(InputError, match=r"program\.source: .*is no Python"):
        question_of(like_humaneval(), {**DOUBLED, "test": "def check(:"})
    with pytest.raises(InputError, match=r"program\.solution: .*is no Python"):
        question_of(like_humaneval(), {**DOUBLED, "canonical_solution": "}"})


def test_each_question_gets_its_share_of_samples_that_pass() -> None:
    require_sandbox()
    task = like_humaneval(samples=3, k=[1, 2], seconds=5.0)
    samples = ["    return x + x\n", "    return 5\n", "    return 2 *\n"]
    forged = "    return 0\nhelper = lambda x: 5\n"
    scores = score_completions(
        task, [DOUBLED, DOUBLED], [samples, [forged] * 3], ids=["4", "9"]
    )
    assert [one.id for one in scores.questions] == ["4", "9"]
    assert scores.questions[0].values == {"pass@1": 1 / 3, "pass@2": 2 / 3}
    assert scores.questions[1].values == {"pass@1": 0.0, "pass@2": 0.0}
    told = scores.questions[0].output["samples"]
    assert [one["verdict"] for one in told] == ["passed", "failed", "failed"]
    assert told[0]["completion"] == samples[0]
    assert scores.main == "pass@1"
    assert scores.sandbox.level == "bubblewrap"


def test_a_sandbox_that_does_not_start_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_sandbox()
    # As if what starts it had vanished in between.
    monkeypatch.setattr(process, "start_command", lambda *_, **__: ["false"])
    with pytest.raises(RunError, match=r"did not start for 1 of 1 programs"):
        score_completions(like_humaneval(), [DOUBLED], [["    return 4\n"]])


def test_setup_code_runs_after_the_candidate_that_it_needs() -> None:
    require_sandbox()
    program = shipped_task("mbpp").program
    assert program is not None
    way = {"source": program.source, "solution": program.solution}
    task = task_of(way, ["prompt", *NODE])
    assert question_of(task, NODE).names == ("Node", "top")
    assert check_solutions(task, [NODE]) == {}
    wrong = {**NODE, "code": NODE["code"].replace("n.v", "7")}
    assert list(check_solutions(task, [NODE, wrong])) == [1]


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_shipped_tasks_of_code_say_what_they_assume(name: str) -> None:
    task = shipped_task(name)
    check_samples(task)
    assert task.data.sha256
    assert task.assumed
