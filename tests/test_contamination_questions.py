"""What of a question is looked for, and scores with and without what was found."""

from __future__ import annotations

from typing import Any

import pytest
from contamination_cases import index_of, rows_of, task_of

from evals.contamination.clean import clean_scores
from evals.contamination.needles import (
    QuestionIndex,
    index_questions,
    ngram_of,
)
from evals.contamination.report import (
    Evidence,
    OverlapCounts,
    QuestionOverlap,
    TaskOverlap,
)
from evals.results import QuestionResult, TaskResult
from evals.statistics.means import estimate
from specs.errors import SpecError


def texts_of(index: QuestionIndex) -> list[tuple[str, str, str]]:
    return [(one.question, one.kind, one.words) for _, one in index.needles()]


def words(count: int) -> str:
    return " ".join(f"word{number}" for number in range(count))


@pytest.mark.parametrize(
    ("lengths", "ngram"),
    [([1] * 99, 8), ([9] * 6 + [30] * 94, 9), ([9] * 5 + [30] * 95, 13), ([40], 13)],
)
def test_n_is_the_5th_percentile_within_8_and_13(
    lengths: list[int], ngram: int
) -> None:
    assert ngram_of(lengths) == ngram


def test_n_of_a_task_goes_by_the_longest_text_of_each_question() -> None:
    task = task_of("quiz", ["hint", "question"])
    rows = [{"hint": "a b", "question": words(10), "answers": ["x"]} for _ in range(20)]
    assert index_questions([(task, rows)]).tasks[0].ngram == 10


def test_n_that_a_task_gives_is_taken() -> None:
    index = index_of([words(30)], ngram=5)
    assert (index.tasks[0].ngram, index.tasks[0].is_ngram_given) == (5, True)


def test_texts_of_a_question_are_looked_for_by_themselves() -> None:
    task = task_of("quiz", ["hint", "question"], ngram=10)
    row: dict[str, Any] = {
        "hint": {"b": [words(12), 7], "a": words(9)},
        "question": "Too short, beside the others.",
        "answers": ["x"],
    }
    assert texts_of(index_questions([(task, [row])])) == [
        ("0", "whole", words(9)),
        ("0", "ngram", words(12)),
    ]


def test_labels_around_a_question_are_not_looked_for() -> None:
    asked = f"Question: {words(12)}?\nAnswer:"
    assert texts_of(index_of([asked], ngram=8)) == [("0", "ngram", words(12))]
    other = f"Question {words(12)}"
    assert texts_of(index_of([other], ngram=8)) == [("0", "ngram", other.lower())]


def test_short_question_is_looked_for_by_its_longest_text() -> None:
    task = task_of("quiz", ["hint", "question"])
    row = {"hint": words(5), "question": words(6), "answers": ["x"]}
    assert texts_of(index_questions([(task, [row])])) == [("0", "whole", words(6))]


@pytest.mark.parametrize(
    ("question", "is_too_short"),
    [
        ("three longish words", True),
        ("four longish small words", False),
        ("a b c defghijklmn", True),
        ("a b c defghijklmno", True),
        ("a b cd efghijklmnop", False),
        ("?!", True),
        ("", True),
    ],
)
def test_question_is_too_short_below_4_words_or_16_characters(
    question: str, is_too_short: bool
) -> None:
    (task,) = index_of([question]).tasks
    assert task.too_short == (("0",) if is_too_short else ())
    assert len(task.needles) == (not is_too_short)


def test_field_that_a_row_lacks_is_an_error() -> None:
    rows = [*rows_of(["one"]), {"answers": ["x"]}]
    with pytest.raises(SpecError, match=r"tasks\.quiz\.contamination.*'question'"):
        index_questions([(task_of("quiz", ["question"]), rows)])


def test_digest_of_an_index_sees_questions_answers_and_n() -> None:
    digests = {
        index_of([words(20)]).digest,
        index_of([words(21)]).digest,
        index_of([words(20)], ngram=9).digest,
        index_of([words(20)], answers=["other"]).digest,
    }
    assert len(digests) == 4
    assert index_of([words(20).upper()]).digest in digests


def overlap_of(question: str, *, is_found: bool, is_common: bool) -> QuestionOverlap:
    return QuestionOverlap(
        question=question,
        kind="ngram",
        is_found=is_found,
        is_common=is_common,
        is_answer_near=False,
        longest=9,
        sources=("code",) if is_found else (),
        evidence=Evidence(words="w", source="code", file="f", number=1),
    )


def test_scores_are_split_by_what_was_found() -> None:
    nothing = OverlapCounts(found=0, share=0, ngram=0, whole=0, common=0, answer_near=0)
    overlap = TaskOverlap(
        task="quiz",
        data=None,
        ngram=9,
        is_ngram_given=False,
        questions=9,
        by_ngram=8,
        by_whole=0,
        too_short=("8",),
        sources={},
        together=nothing,
        overlaps=(
            overlap_of("1", is_found=True, is_common=False),
            overlap_of("2", is_found=True, is_common=False),
            overlap_of("3", is_found=True, is_common=True),
            overlap_of("4", is_found=False, is_common=False),
        ),
    )
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    result = TaskResult(
        task="quiz",
        fingerprint="f",
        main="accuracy",
        chance=0.0,
        questions=tuple(
            QuestionResult(
                id=str(number), values={"accuracy": value}, cluster=None, output={}
            )
            for number, value in enumerate(values)
        ),
    )
    scores = clean_scores(result, overlap)
    assert scores.all == estimate(values, [None] * 9)
    assert scores.overlapping == estimate([1.0, 1.0], [None] * 2)
    assert scores.common == estimate([0.0], [None])
    assert scores.too_short == estimate([1.0], [None])
    # A match that is shorter than N leaves question 4 among the clean ones.
    assert scores.clean == estimate([0.0, 1.0, 0.0, 0.0, 1.0], [None] * 5)
    assert scores.clean_but_common is not None
    assert scores.clean_but_common.count == 6
    asked = result.model_copy(update={"questions": result.questions[4:8]})
    assert clean_scores(asked, overlap).overlapping is None
