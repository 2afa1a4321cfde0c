"""What a task asks a model, to the letter, and what the answers score."""

from __future__ import annotations

import math
from typing import Any

import pytest
from eval_tasks import ANSWER, rows, task

from evals.harness import (
    AskedTask,
    GenerationRequest,
    LikelihoodRequest,
    declared_task,
    task_result,
)
from evals.harness_library import harness_facts
from evals.selection import asked_rows, shot_rows
from specs.errors import InputError, SpecError

ROWS = rows(6)


def contexts(asked: AskedTask) -> list[str]:
    return [one.context for one in (*asked.likelihoods, *asked.generations)]


def test_every_choice_of_a_question_is_asked_in_order() -> None:
    asked = declared_task(task(), ROWS[:2])
    assert asked.likelihoods[:2] == (
        LikelihoodRequest(
            question=0, context="Q: what is 0\nA:", continuation=" it is 0"
        ),
        LikelihoodRequest(
            question=0, context="Q: what is 0\nA:", continuation=" caf\u00e9 0"
        ),
    )
    assert [one.question for one in asked.likelihoods] == [0, 0, 1, 1]
    assert asked.generations == ()
    assert asked.ids == ("0", "1")


def test_delimiter_stands_before_each_choice() -> None:
    choices = {"texts": ["a", " b"], "right": "0", "delimiter": "\n-"}
    asked = declared_task(task(choices=choices), ROWS[:1])
    assert [one.continuation for one in asked.likelihoods] == ["\n-a", "\n- b"]


def test_context_per_choice_has_one_continuation() -> None:
    choices = {
        "contexts": ["{{ options[0] }} of", "{{ options[1] }} of"],
        "texts": ["{{ question }}"],
        "right": "{{ label }}",
    }
    asked = declared_task(task(choices=choices), ROWS[1:2])
    assert contexts(asked) == ["it is 1 of", "caf\u00e9 1 of"]
    assert {one.continuation for one in asked.likelihoods} == {" what is 1"}
    (found,) = asked.score([(-2.0, False), (-1.0, False)])
    assert found.values["accuracy"] == 1.0
    assert found.values["accuracy_per_character"] == 1.0
    assert found.values["accuracy_per_byte"] == 1.0


def test_generation_says_where_it_ends() -> None:
    answer = {**ANSWER, "max_tokens": 7}
    asked = declared_task(task(choices=None, answer=answer), ROWS[:1])
    assert asked.generations == (
        GenerationRequest(
            question=0, context="Q: what is 0\nA:", stop=("\n", "."), max_tokens=7
        ),
    )
    assert asked.likelihoods == ()


def test_reply_is_told_by_its_length_alone() -> None:
    asked = declared_task(task(choices=None, reply={"stop": ["\n"]}), ROWS[:1])
    (found,) = asked.score(["caf\u00e9 it is\nand more"])
    assert found.values == {"characters": 10.0}
    assert found.output == {"texts": ["caf\u00e9 it is"]}


@pytest.mark.parametrize(
    ("changes", "solved"),
    [
        ({}, "A: caf\u00e9 1"),
        ({"choices": None, "answer": ANSWER}, "A: it is 1"),
        (
            {
                "choices": None,
                "program": {
                    "source": "{{ completion }}",
                    "solution": "\n{{ label }}",
                    "stop": ["\n#"],
                },
            },
            "A:\n1",
        ),
        ({"choices": None, "reply": {"reference": "r{{ label }}"}}, "A: r1"),
    ],
    ids=["choices", "answer", "program", "reply"],
)
def test_solved_examples_stand_before_the_question(
    changes: dict[str, Any], solved: str
) -> None:
    shots = {"number": 1, "joined_by": "\n###\n"}
    asked = declared_task(task(**changes, shots=shots), ROWS[:2])
    assert contexts(asked)[0] == f"Q: what is 1\n{solved}\n###\nQ: what is 0\nA:"


def test_examples_of_other_rows_may_be_all_of_them() -> None:
    shots = {"number": 3}
    asked = declared_task(task(shots=shots), ROWS[:1], shots=rows(9)[6:])
    for index in (6, 7, 8):
        assert f"Q: what is {index}\nA: " in asked.likelihoods[0].context


def test_question_is_never_an_example_of_itself() -> None:
    shots = {"number": 5}
    for index, context in enumerate(contexts(declared_task(task(shots=shots), ROWS))):
        assert context.count(f"what is {index // 2}\n") == 1
        assert context.count("Q: ") == 6


def test_examples_do_not_depend_on_what_else_is_asked() -> None:
    shots = {"number": 2}
    all_of_them = declared_task(task(shots=shots), rows(50))
    some = declared_task(task(shots=shots, limit=7), rows(50))
    assert len(some.ids) == 7
    wanted = [all_of_them.likelihoods[2 * int(id_)].context for id_ in some.ids]
    assert contexts(some)[::2] == wanted
    others = declared_task(task(shots={**shots, "seed": 1}), rows(50))
    assert contexts(others) != contexts(all_of_them)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(SpecError, match=r"t\.yaml: shots\.number: asks for 6 examples"):
        declared_task(task(shots={"number": 6}), ROWS, file="t.yaml")
    shots = {"number": 1}
    with pytest.raises(SpecError, match=r"a reply without reference is no example"):
        declared_task(task(choices=None, reply={}, shots=shots), ROWS)


def test_limit_asks_some_of_the_questions_of_a_larger_one() -> None:
    assert asked_rows(10, None) == asked_rows(10, 99) == tuple(range(10))
    before: set[int] = set()
    for limit in range(1, 30):
        found = asked_rows(1000, limit)
        assert len(set(found)) == limit
        assert list(found) == sorted(found)
        assert before < set(found)
        before = set(found)
    # Not simply the first.
    assert max(before) > 500


def test_examples_are_spread_over_the_rows() -> None:
    found = [
        shot_rows(row, number=3, seed=0, num_rows=100, is_own=True)
        for row in range(100)
    ]
    assert all(
        len(set(rows)) == 3 and row not in rows for row, rows in enumerate(found)
    )
    assert len({row for rows in found for row in rows}) > 80


def test_likeliest_choice_is_right_in_three_ways() -> None:
    choices = {"texts": ["ab", "\u00e9\u00e9\u00e9", "abcde"], "right": "1"}
    asked = declared_task(task(choices=choices), ROWS[:1])
    # Per character -2, -1.5, -1.6; per byte -2, -0.75, -1.6.
    (found,) = asked.score([(-4.0, True), (-4.5, False), (-8.0, False)])
    assert found.values == {
        "accuracy": 0.0,
        "accuracy_per_character": 1.0,
        "accuracy_per_byte": 1.0,
        # Seven bytes with the space before it.
        "bits_per_byte": 4.5 / math.log(2) / 7,
    }
    assert found.output == {
        "log_likelihoods": [-4.0, -4.5, -8.0],
        "greedy": [True, False, False],
    }


def test_of_equally_likely_choices_the_first_is_taken() -> None:
    asked = declared_task(task(), ROWS[:2])
    found = asked.score([(-1.0, False)] * 4)
    assert [one.values["accuracy"] for one in found] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "steps", "is_right"),
    [
        (" it is 0\n it is 5", [], True),
        ("it is 0. More", [], True),
        ("it is 0, I say", [], False),
        ("It is 0", [], False),
        ("IT is 0", ["lower"], True),
        ("it is 0!", ["punctuation"], True),
        ("the it is a 0", ["articles"], True),
        ("it  is \t0", ["spaces"], True),
        ("Caf\u00c9 0", ["lower"], True),
        ("", [], False),
        (". it is 0", [], False),
    ],
)
def test_answer_is_right_if_it_equals_an_accepted_one(
    text: str, steps: list[str], is_right: bool
) -> None:
    answer = {**ANSWER, "normalise": steps}
    asked = declared_task(task(choices=None, answer=answer), ROWS[:1])
    (found,) = asked.score([text])
    assert found.values == {"exact_match": float(is_right)}


def test_output_is_the_answer_without_what_follows_the_stop() -> None:
    asked = declared_task(task(choices=None, answer=ANSWER), ROWS[:1])
    (found,) = asked.score([" it is 0. It was 1\nor 2"])
    assert found.output == {"texts": [" it is 0"]}
    (found,) = asked.score([" it is\n0. It was 1"])
    assert found.output == {"texts": [" it is"]}


def test_rows_that_look_like_code_are_text() -> None:
    row = {"question": "['a', 'b']", "options": ["12", "[1]"], "label": 0}
    asked = declared_task(task(prompt="{{ question }}"), [row])
    assert contexts(asked) == ["['a', 'b']"] * 2
    assert [one.continuation for one in asked.likelihoods] == [" 12", " [1]"]
    assert declared_task(task(prompt="5"), [row]).likelihoods[0].context == "5"


def test_rows_of_many_shapes_stay_as_they_are() -> None:
    many: list[dict[str, Any]] = [
        {"question": 1, "options": ["a", "b"], "label": 0},
        {"question": {"x": None}, "options": ["a", "b", "c"], "label": "1"},
        {"question": [1.5, "x"], "options": ["a", "b"], "label": 1},
    ]
    asked = declared_task(task(prompt="{{ question }}"), many)
    assert contexts(asked) == [
        *["1"] * 2,
        *["{'x': None}"] * 3,
        *["[1.5, 'x']"] * 2,
    ]


def test_questions_of_one_passage_share_a_cluster() -> None:
    several = [{**row, "question": index // 2} for index, row in enumerate(ROWS)]
    asked = declared_task(task(cluster="question"), several)
    found = [one.cluster for one in asked.score([(-1.0, False)] * 12)]
    assert found[0] == found[1] != found[2] == found[3]
    asked = declared_task(task(), several)
    assert {one.cluster for one in asked.score([(-1.0, False)] * 12)} == {None}


def test_scored_questions_keep_the_numbers_of_their_rows() -> None:
    limited = task(limit=2)
    asked = declared_task(limited, rows(20))
    found = asked.score([(-1.0, False)] * 4)
    assert [one.id for one in found] == list(map(str, asked_rows(20, 2)))
    result = task_result(limited, found, fingerprint="f" * 64)
    assert (result.main, result.task, result.chance) == ("accuracy", "x", 0.0)
    assert result.questions == found


def test_scoring_twice_gives_the_same() -> None:
    asked = declared_task(task(), ROWS)
    answers = [(-float(index % 5), False) for index in range(12)]
    assert asked.score(answers) == asked.score(answers)


def test_digest_of_what_is_asked_is_of_every_letter() -> None:
    before = declared_task(task(), ROWS).requests_digest
    assert declared_task(task(), ROWS, file="elsewhere").requests_digest == before
    others = [
        task(prompt="Q: {{ question }}\nA: "),
        task(choices={"texts": "{{ options }}", "right": "0", "delimiter": ""}),
        task(shots={"number": 1}),
        task(limit=3),
        task(choices=None, answer=ANSWER),
        task(choices=None, answer={**ANSWER, "stop": ["."]}),
        task(choices=None, answer={**ANSWER, "max_tokens": 3}),
    ]
    digests = {declared_task(one, ROWS).requests_digest for one in others}
    assert len(digests | {before}) == len(others) + 1


def test_row_that_does_not_fit_is_named() -> None:
    bad = [*ROWS[:3], {**ROWS[3], "label": 2}]
    with pytest.raises(InputError, match=r"t\.yaml: choices\.right: row 3: "):
        declared_task(task(), bad, file="t.yaml")


def test_version_of_the_library_is_known() -> None:
    assert harness_facts() == {"lm_eval": "0.4.13"}
