"""What is looked for: the text of every question of some tasks, as words.

A question is the texts of its task's `contamination.fields`, each looked for by itself:
training data need not hold them in one order. A text of N words or more is looked for
by its runs of N words. N is what the task says, or as GPT-3 had it (Brown et al., 2020,
appendix C) the 5th percentile of the questions' lengths, within 8 to 13. A text of 8
words or more, but fewer than N, is looked for as a whole. A question that has neither
is looked for by its longest text as a whole, if that is long enough to mean anything;
otherwise it is `too_short`, and nothing is known about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from evals.contamination.characters import NORMALISATION
from evals.contamination.words import words_of
from evals.rendering import Place, Row, rendered_accepted
from specs.base import Value
from specs.errors import Problem, SpecError
from specs.task import Task

SHORTEST_NGRAM = 8
LONGEST_NGRAM = 13

MIN_WHOLE_WORDS = 4
MIN_WHOLE_CHARACTERS = 16
"""Shorter texts occur by chance; letters, marks and numbers are counted."""

Kind = Literal["ngram", "whole"]


class Needle(Value):
    """One text of one question."""

    question: str
    """Index of its row in the pinned file, as in `QuestionResult`."""
    field: str
    kind: Kind
    """By which it is looked for: runs of N words, or all of it."""
    words: str
    """Its words, with single spaces."""
    answers: tuple[str, ...] = ()
    """Words of the right answers, where the task accepts texts."""


class IndexedTask(Value):
    """The texts of one task."""

    name: str
    data: str | None
    """Digest of the rows, as the task is pinned."""
    ngram: int
    """Words in a row that count as found."""
    is_ngram_given: bool
    """Whether the task says so; otherwise it comes from the questions' lengths."""
    questions: int
    needles: tuple[Needle, ...]
    too_short: tuple[str, ...]
    """Questions that can't be looked for."""


class QuestionIndex(Value):
    """Everything that is looked for; its digest names the results of a scan."""

    index: Literal[1] = 1
    normalisation: str = NORMALISATION
    tasks: tuple[IndexedTask, ...]

    def needles(self) -> Iterator[tuple[IndexedTask, Needle]]:
        """Yield all needles; their places in this order are their numbers."""
        for task in self.tasks:
            for needle in task.needles:
                yield task, needle


def index_questions(tasks: Sequence[tuple[Task, Sequence[Row]]]) -> QuestionIndex:
    """Index the questions of tasks.

    Args:
        tasks: Each with `contamination`, and all rows of its pinned file.

    Raises:
        SpecError: A task looks for fields that a row lacks.
    """
    problems = [problem for task, rows in tasks for problem in _lacking(task, rows)]
    if problems:
        raise SpecError(problems)
    in_order = sorted(tasks, key=lambda pair: pair[0].name)
    return QuestionIndex(tasks=tuple(_index_task(*pair) for pair in in_order))


def ngram_of(lengths: Sequence[int]) -> int:
    """Return N for questions of these lengths in words.

    >>> ngram_of([4, 20, 30]), ngram_of([10] * 100), ngram_of(range(20, 90))
    (8, 10, 13)
    """
    if not lengths:
        return LONGEST_NGRAM
    percentile = sorted(lengths)[len(lengths) * 5 // 100]
    return min(max(percentile, SHORTEST_NGRAM), LONGEST_NGRAM)


def _index_task(task: Task, rows: Sequence[Row]) -> IndexedTask:
    assert task.contamination is not None
    texts = [_texts(row, task.contamination.fields) for row in rows]
    # What decides whether a question can be found is the longest of its texts.
    lengths = [max((len(words) for _, words in found), default=0) for found in texts]
    ngram = task.contamination.ngram or ngram_of(lengths)
    needles: list[Needle] = []
    too_short: list[str] = []
    for number, found in enumerate(texts):
        near = _answers(task, rows[number], number)
        chosen = _chosen(found, ngram)
        needles += [
            Needle(
                question=str(number),
                field=field,
                kind=kind,
                words=b" ".join(words).decode(),
                answers=near,
            )
            for kind, field, words in chosen
        ]
        if not chosen:
            too_short.append(str(number))
    return IndexedTask(
        name=task.name,
        data=task.data.sha256,
        ngram=ngram,
        is_ngram_given=task.contamination.ngram is not None,
        questions=len(rows),
        needles=tuple(needles),
        too_short=tuple(too_short),
    )


def _chosen(
    texts: list[tuple[str, list[bytes]]], ngram: int
) -> list[tuple[Kind, str, list[bytes]]]:
    """Return what a question is looked for by; nothing if it is too short."""
    chosen: list[tuple[Kind, str, list[bytes]]] = []
    for field, words in texts:
        if len(words) >= ngram:
            chosen.append(("ngram", field, words))
        elif len(words) >= SHORTEST_NGRAM:
            chosen.append(("whole", field, words))
    if chosen:
        return chosen
    field, words = max(texts, key=lambda pair: len(pair[1]), default=("", []))
    num_characters = len(b"".join(words).decode())
    is_enough = len(words) >= MIN_WHOLE_WORDS and num_characters >= MIN_WHOLE_CHARACTERS
    return [("whole", field, words)] if is_enough else []


def _texts(row: Row, fields: Sequence[str]) -> list[tuple[str, list[bytes]]]:
    return [
        (field, _without_labels(words_of(text)))
        for field in fields
        for text in _strings(row[field])
    ]


def _without_labels(words: list[bytes]) -> list[bytes]:
    r"""Take off what publishers put around questions, and nobody else does.

    >>> _without_labels(words_of("Question: Who was it?\nAnswer:"))
    [b'who', b'was', b'it']
    """
    if words[:1] == [b"question"] and words[-1:] == [b"answer"]:
        return words[1:-1]
    return words


def _strings(value: object) -> Iterator[str]:
    """Yield the texts in a field, which may be a list or an object of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield from _strings(value[name])
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


def _answers(task: Task, row: Row, number: int) -> tuple[str, ...]:
    if task.answer is None:
        return ()
    texts = rendered_accepted(task, row, place=Place(row=number))
    words = {b" ".join(words_of(text)).decode() for text in texts}
    return tuple(sorted(words - {""}))


def _lacking(task: Task, rows: Sequence[Row]) -> Iterator[Problem]:
    fields = task.contamination.fields if task.contamination else ()
    for field in fields:
        number = next((n for n, row in enumerate(rows) if field not in row), None)
        if number is not None:
            yield Problem(
                path=f"tasks.{task.name}.contamination.fields",
                what=f"question {number} has no field {field!r}",
                fix="name fields that every row of the task has, as in data.fields",
            )
