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

from evals.questions import MAX_PROBLEMS, EncodedChoice, EncodedQuestion
from evals.scores import Score
from evals.scoring import is_cut, log_likelihoods
from runtime.scoring import Continuation, ScoredModel
from specs.canonical import digest_of
from specs.errors import InputError, Problem


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


def score_choices(questions: Sequence[EncodedQuestion], model: ScoredModel) -> Score:
    """Answer questions.

    Args:
        questions: At least one.
        model: What answers them.

    Returns:
        `accuracy`, `accuracy_per_byte` and a `_standard_error` of each; as detail the
        results per question and their digest.
    """
    requests = [[_request(choice) for choice in one.choices] for one in questions]
    sums = iter(log_likelihoods([x for asked in requests for x in asked], model))
    results = [
        _result(one, [next(sums).nats for _ in one.choices]) for one in questions
    ]
    values: dict[str, float] = {}
    for name, chosen in (("accuracy", "choice"), ("accuracy_per_byte", "per_byte")):
        right = [result[chosen] == result["answer"] for result in results]
        values[name], values[f"{name}_standard_error"] = accuracy(right)
    detail = {
        "length": model.length,
        "questions": len(results),
        "prompts_cut": sum(
            any(is_cut(one, model.length) for one in asked) for asked in requests
        ),
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


def _request(choice: EncodedChoice) -> Continuation:
    border = len(choice.tokens) - choice.num_scored
    return Continuation(context=choice.tokens[:border], tokens=choice.tokens[border:])
