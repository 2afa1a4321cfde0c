"""A checkpoint as judge: which verdict is likelier after the question, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evals.judging.judge import LoadedJudge, question_to_judge
from evals.judging.replies import Comparison
from evals.judging.win_rate import Judged, WinRate, win_rate_of
from evals.questions import Question, encode_question
from evals.scores import TextCodec
from evals.scoring import is_cut, log_likelihoods
from runtime.scoring import Continuation, ScoredModel
from specs.canonical import digest_of
from specs.errors import InputError


@dataclass(frozen=True, kw_only=True)
class JudgingCheckpoint:
    """The weights of a local judge."""

    weights: str
    """Their digest or fingerprint."""
    model: ScoredModel
    tokenizer: TextCodec


def compare_locally(
    comparison: Comparison, *, judge: LoadedJudge, checkpoint: JudgingCheckpoint
) -> WinRate:
    """Let a checkpoint compare two sets of replies.

    Args:
        comparison: What is compared.
        judge: Of the kind `local`.
        checkpoint: The judge's weights.

    Raises:
        InputError: A question to the judge is longer than it can see.
        RunError: A likelihood is not a finite number.
    """
    local = judge.spec.local
    assert local is not None
    orders = [
        (p, *texts) for p in comparison.pairs for texts in ((p.a, p.b), (p.b, p.a))
    ]
    requests: list[Continuation] = []
    for pair, one, other in orders:
        question = question_to_judge(
            judge, instruction=pair.instruction, answer_a=one, answer_b=other
        )
        requests += _requests(question, (local.a, local.b), checkpoint.tokenizer)
    _check_fit(comparison, requests, checkpoint.model.length)
    found = [one.nats for one in log_likelihoods(requests, checkpoint.model)]
    judged = []
    for index in range(len(comparison.pairs)):
        a_first, b_first = found[4 * index : 4 * index + 2], found[4 * index + 2 :][:2]
        judged.append(_judged(a_first, b_first, is_soft=local.preference == "soft"))
    fingerprint = digest_of({"judge": judge.fingerprint, "weights": checkpoint.weights})
    return win_rate_of(comparison, judged, judge=judge, fingerprint=fingerprint)


def _requests(
    question: str, verdicts: tuple[str, str], tokenizer: TextCodec
) -> list[Continuation]:
    """Write what the model is asked: how likely both verdicts are."""
    asked = Question(prompt=question, choices=verdicts, answer=0)
    return [
        Continuation(
            context=choice.tokens[: len(choice.tokens) - choice.num_scored],
            tokens=choice.tokens[len(choice.tokens) - choice.num_scored :],
        )
        for choice in encode_question(asked, tokenizer).choices
    ]


def _check_fit(
    comparison: Comparison, requests: Sequence[Continuation], length: int
) -> None:
    """Refuse questions that lose their beginning: the judge would see one answer."""
    per_pair = len(requests) // len(comparison.pairs)
    cut = sorted(
        {at // per_pair for at, one in enumerate(requests) if is_cut(one, length)}
    )
    if cut:
        ids = ", ".join(comparison.pairs[at].id for at in cut[:10])
        raise InputError(
            f"{len(cut)} of {len(comparison.pairs)} prompts with their replies are "
            f"longer than the {length} tokens that the judge sees: questions {ids}",
            fix="lower reply_characters in the judge file, or shorten its template",
        )
    if not all(one.tokens for one in requests):
        raise InputError(
            "the judge's tokenizer leaves nothing of a verdict after the template",
            fix="end the template without a space, and begin both verdicts with it",
        )


def _judged(
    a_first: Sequence[float], b_first: Sequence[float], *, is_soft: bool
) -> Judged:
    """Read the likelihoods of both verdicts in both orders.

    Args:
        a_first: Of "the first" and "the second" where A's reply comes first.
        b_first: Where B's does.
        is_soft: Whether probabilities count, not which is larger.
    """
    # How much likelier it is that A is preferred, in nats.
    for_a = (a_first[0] - a_first[1], b_first[1] - b_first[0])
    soft_score = None
    if is_soft:
        soft_score = sum(_logistic(one) for one in for_a) / 2
    return Judged(
        # A model that finds both equally likely names the first, as people read.
        a_first="a" if for_a[0] >= 0 else "b",
        b_first="a" if for_a[1] > 0 else "b",
        soft_score=soft_score,
        output={"log_likelihoods": [[float(v) for v in o] for o in (a_first, b_first)]},
    )


def _logistic(nats: float) -> float:
    # Without overflow on either side.
    if nats >= 0:
        return 1 / (1 + math.exp(-nats))
    return math.exp(nats) / (1 + math.exp(nats))
