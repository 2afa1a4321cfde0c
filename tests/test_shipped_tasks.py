"""The tasks that come with codemix ask what lm-eval's tasks of the same name ask.

The rows are made up, in the form of the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from evals.catalogue import shipped_suite, shipped_task, suite_names, task_names
from evals.harness import AskedTask, declared_task
from evals.harness_stock import asked_stock_task, stock_task
from evals.rendering import template_problems

NINE = ("boolq", "piqa", "sciq", "siqa", "cb", "copa", "hellaswag", "winogrande")
NINE += ("arc_easy",)

LETTERS = {"text": ["to run", "to hide"], "label": ["A", "B"]}
FIVE = {"text": ["v", "w", "x", "y", "z"], "label": ["A", "B", "C", "D", "E"]}
STORY = {f"input_sentence_{place}": f"Part {place}." for place in range(1, 5)}

SAME_FORM: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "piqa": (
        "piqa",
        [{"goal": "To sit", "sol1": "Use it. ", "sol2": "Eat it.", "label": 1}],
    ),
    "sciq": (
        "sciq",
        [
            {
                "support": support,
                "question": "What grows?",
                "distractor1": "stone",
                "distractor2": "sand",
                "distractor3": "salt",
                "correct_answer": "grass",
            }
            for support in ("", "  Grass grows.\n")
        ],
    ),
    "siqa": (
        "social_iqa",
        [
            {
                "context": "Kim fell.",
                "question": "What now?",
                "answerA": "get up",
                "answerB": "sleep",
                "answerC": "sing",
                "label": label,
            }
            for label in ("1", "3")
        ],
    ),
    "cb": (
        "cb",
        [
            {"premise": "I doubt it.", "hypothesis": "it is", "label": label}
            for label in (0, 1, 2)
        ],
    ),
    "copa": (
        "copa",
        [
            {
                "premise": "The tap ran. ",
                "choice1": "It was open.",
                "choice2": "The tub was full.",
                "question": question,
                "label": label,
            }
            for question, label in (("cause", 0), ("effect", 1))
        ],
    ),
    "winogrande": (
        "winogrande",
        [
            {
                "sentence": "Ann beat Bea as _ was quick .",
                "option1": "Ann",
                "option2": "Bea",
                "answer": answer,
            }
            for answer in ("1", "2")
        ],
    ),
    "nq_open": (
        "nq_open",
        [{"question": "who sings", "answer": ["The Band", "Band, The"]}],
    ),
    "storycloze": (
        "storycloze_2016",
        [
            {
                **STORY,
                "sentence_quiz1": "The end.",
                "sentence_quiz2": "No end.",
                "answer_right_ending": right,
            }
            for right in (1, 2)
        ],
    ),
    "arc_challenge": (
        "arc_challenge",
        [{"question": "Why legs?", "choices": LETTERS, "answerKey": "B"}],
    ),
    "openbookqa": (
        "openbookqa",
        [{"question_stem": "Legs are", "choices": LETTERS, "answerKey": " B"}],
    ),
    "commonsense_qa": (
        "commonsense_qa",
        [{"question": " Which? ", "choices": FIVE, "answerKey": "D"}],
    ),
}

HELLASWAG = {
    "activity_label": "Roof work",
    "ctx_a": "A man [step] climbs.",
    "ctx_b": "he",
    "endings": ["sits  down [title] Wait.", "runs [substeps]away."],
    "label": "1",
}

OTHER_FORM: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "boolq": (
        "boolq",
        {"passage": "It is.", "question": "is it", "answer": True},
        {"passage": "It is.", "question": "is it", "label": 1},
    ),
    "arc_easy": (
        "arc_easy",
        {"query": "Question: Why?\nAnswer:", "choices": LETTERS["text"], "gold": 1},
        {"question": "Why?", "choices": LETTERS, "answerKey": "B"},
    ),
    "hellaswag": (
        "hellaswag",
        {
            "query": "Roof work: A man climbs. He",
            "choices": ["sits down. Wait.", "runs away."],
            "gold": 1,
        },
        HELLASWAG,
    ),
    "triviaqa": (
        "triviaqa",
        {"context": "Question: Who?\nAnswer:", "aliases": ["The Band", "Band"]},
        {"question": "Who", "answer": {"aliases": ["The Band", "Band"]}},
    ),
}


def asked_alike(
    name: str, rows: Sequence[Any], stock: str, stock_rows: Sequence[Any]
) -> tuple[AskedTask, AskedTask]:
    ours = declared_task(shipped_task(name), rows)
    theirs = asked_stock_task(stock_task(stock), stock_rows)
    assert ours.likelihoods == theirs.likelihoods
    for mine, other in zip(ours.generations, theirs.generations, strict=True):
        assert (mine.context, mine.stop) == (other.context, other.stop)
    return ours, theirs


def scored_alike(ours: AskedTask, theirs: AskedTask) -> None:
    """Give both some answers, so that each choice of a question wins once."""
    for turn in range(5):
        values = [
            (-5.0 if (index + turn) % 5 else -0.5, False)
            for index in range(len(ours.likelihoods))
        ]
        texts = ["the band", " Band! . x", "a Band, b", "Band, The", "\nBand"]
        answers: Sequence[Any] = values or [texts[turn]] * len(ours.generations)
        for mine, other in zip(ours.score(answers), theirs.score(answers), strict=True):
            shared = mine.values.keys() & other.values.keys()
            assert shared & {"accuracy", "exact_match"}
            for metric in shared:
                assert mine.values[metric] == other.values[metric], metric


@pytest.mark.parametrize("name", SAME_FORM)
def test_task_asks_and_scores_as_lm_eval(name: str) -> None:
    stock, rows = SAME_FORM[name]
    scored_alike(*asked_alike(name, rows, stock, rows))


@pytest.mark.parametrize("name", OTHER_FORM)
def test_task_on_rows_of_another_form_asks_and_scores_as_lm_eval(name: str) -> None:
    stock, row, stock_row = OTHER_FORM[name]
    scored_alike(*asked_alike(name, [row], stock, [stock_row]))


def test_quac_asks_with_the_turns_before() -> None:
    row = {
        "dialogue": "d1",
        "context": "Ann sang. She won.",
        "turns": [{"question": "Who sang?", "answer": "Ann"}],
        "question": "Did she win?",
        "answers": ["She won", "yes"],
    }
    (asked,) = declared_task(shipped_task("quac"), [row]).generations
    assert asked.context == (
        "Ann sang. She won.\n\nQ: Who sang?\nA: Ann\n\nQ: Did she win?\nA:"
    )
    first = declared_task(shipped_task("quac"), [{**row, "turns": []}])
    assert first.generations[0].context == "Ann sang. She won.\n\nQ: Did she win?\nA:"
    assert first.score(["  she won!\nQ: x"])[0].values == {"exact_match": 1.0}


@pytest.mark.parametrize("name", task_names())
def test_task_says_what_it_is(name: str) -> None:
    task = shipped_task(name)
    assert task.name == name
    assert template_problems(task) == []
    assert task.data.published
    assert task.data.file.startswith("benchmarks/")
    assert task.contamination is not None
    fields = {*task.contamination.fields, *([task.cluster] if task.cluster else [])}
    assert fields <= {*task.data.fields}
    # What is pinned is counted.
    assert (task.data.sha256 is None) == (task.data.rows is None)


def test_every_task_has_a_test_of_its_prompt() -> None:
    tested = {*SAME_FORM, *OTHER_FORM, "quac"}
    asked_elsewhere = {
        name for name in task_names() if shipped_task(name).way in ("program", "reply")
    }
    assert {*task_names()} - asked_elsewhere == tested


@pytest.mark.parametrize("name", suite_names())
def test_suite_names_tasks_that_there_are(name: str) -> None:
    suite = shipped_suite(name)
    assert suite.name == name
    assert set(suite.tasks) <= {*task_names(), "humaneval", "mbpp"}


def test_suites_of_the_study_are_whole() -> None:
    eleven = shipped_suite("nl-reasoning").tasks
    assert len(eleven) == 11
    assert {*eleven} == {*NINE, "quac", "storycloze"}
    assert shipped_suite("world-knowledge").tasks == ("triviaqa", "nq_open")
    assert shipped_suite("code").tasks == ("humaneval", "mbpp")
    assert shipped_suite("nl-reasoning-9").tasks == NINE
