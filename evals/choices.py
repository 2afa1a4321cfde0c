"""Multiple choice by log-likelihood: the choice that the model finds likeliest.

`accuracy` compares the sums of the choices' log-likelihoods; `accuracy_per_byte`
divides each by the choice's UTF-8 bytes, so that long choices aren't punished for their
length and tokenizers compare. Of equal choices the first is taken. The standard error
is that of a mean of n right-or-wrong answers, sqrt(p (1 - p) / (n - 1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.questions import MAX_PROBLEMS, EncodedChoice, EncodedQuestion
from evals.scores import Score
from evals.scoring import Scorer
from specs.canonical import digest_of
from specs.errors import InputError, Problem

MIN_WINDOW = 32
"""Tokens of the narrowest window; wider ones double, so few shapes are compiled."""


def check_questions(
    questions: Sequence[EncodedQuestion], length: int, *, name: str
) -> None:
    """Refuse questions with a choice of no tokens, or more than fit in a sequence.

    Prompts that don't fit are cut from the left when scored, and counted.

    Raises:
        InputError: With every such question.
    """
    problems: list[Problem] = []
    for number, question in enumerate(questions, 1):
        counts = [choice.num_scored for choice in question.choices]
        if min(counts) == 0:
            what = f"question {number}: the tokenizer leaves nothing of a choice"
            problems.append(Problem(file=name, what=what, fix="take the question out"))
        if max(counts) > length:
            what = (
                f"question {number}: a choice has {max(counts)} tokens, the shortest "
                f"sequence of any stage has {length}"
            )
            fix = "take the question out, or train on longer sequences"
            problems.append(Problem(file=name, what=what, fix=fix))
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])


def score_choices(
    questions: Sequence[EncodedQuestion], scorer: Scorer, *, pad: int
) -> Score:
    """Answer questions.

    Args:
        questions: At least one.
        scorer: The model.
        pad: Token that fills windows up; it follows what is scored.

    Returns:
        `accuracy`, `accuracy_per_byte` and a `_standard_error` of each; as detail the
        results per question and their digest.
    """
    choices = [choice for question in questions for choice in question.choices]
    sums = iter(_log_likelihoods(choices, scorer, pad))
    results = [_result(one, [next(sums) for _ in one.choices]) for one in questions]
    values: dict[str, float] = {}
    for name, chosen in (("accuracy", "choice"), ("accuracy_per_byte", "per_byte")):
        right = [result[chosen] == result["answer"] for result in results]
        values[name], values[f"{name}_standard_error"] = accuracy(right)
    detail = {
        "length": scorer.length,
        "questions": len(results),
        "prompts_cut": sum(_is_cut(question, scorer) for question in questions),
        "results": results,
        "results_digest": digest_of(results),
    }
    return Score(suite="choices", values=values, detail=detail)


def accuracy(right: Sequence[bool]) -> tuple[float, float]:
    """Return the share of right answers and its standard error.

    One answer alone has an unknown error; 0.5 is the largest that it can be.

    >>> accuracy([True, True, False, False, False])
    (0.4, 0.2449489742783178)
    """
    count = len(right)
    share = sum(right) / count
    if count == 1:
        return share, 0.5
    return share, math.sqrt(share * (1 - share) / (count - 1))


def _result(question: EncodedQuestion, sums: list[float]) -> dict[str, Any]:
    """Return what a question came to; `per_byte` and `choice` are indices."""
    lengths = [choice.num_bytes for choice in question.choices]
    per_byte = [total / size for total, size in zip(sums, lengths, strict=True)]
    return {
        "answer": question.answer,
        "choice": sums.index(max(sums)),
        "per_byte": per_byte.index(max(per_byte)),
        "log_likelihoods": sums,
        "bytes": lengths,
    }


def _log_likelihoods(
    choices: list[EncodedChoice], scorer: Scorer, pad: int
) -> list[float]:
    """Return the log-likelihood of each choice in nats, window width by width."""
    by_width: dict[int, list[int]] = {}
    for index, choice in enumerate(choices):
        by_width.setdefault(_width(choice, scorer.length), []).append(index)
    found: dict[int, float] = {}
    for width, indices in sorted(by_width.items()):
        windows = [_window(choices[index], width, pad) for index in indices]
        losses = scorer.losses(np.stack(windows))
        for index, row in zip(indices, losses, strict=True):
            stop = min(len(choices[index].tokens) - 1, width)
            scored = row[stop - choices[index].num_scored : stop]
            found[index] = -math.fsum(scored.tolist())
    return [found[index] for index in range(len(choices))]


def _width(choice: EncodedChoice, length: int) -> int:
    """Return the narrowest width that holds a choice: 32, 64, ... or the longest."""
    needed = len(choice.tokens) - 1
    return min(max(MIN_WINDOW, 1 << (needed - 1).bit_length()), length)


def _window(choice: EncodedChoice, width: int, pad: int) -> NDArray[np.int32]:
    window = np.full(width + 1, pad, np.int32)
    tokens = choice.tokens[-(width + 1) :]
    window[: len(tokens)] = tokens
    return window


def _is_cut(question: EncodedQuestion, scorer: Scorer) -> bool:
    return any(len(one.tokens) > scorer.length + 1 for one in question.choices)
