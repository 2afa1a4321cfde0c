"""What came of a comparison: wins, losses, ties, and how far they can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evals.judging.judge import LoadedJudge
from evals.judging.replies import Comparison, Pair
from evals.judging.resampling import (
    PLACES,
    Rate,
    length_controlled_rate,
    raw_rate,
)
from evals.results import QuestionResult
from evals.statistics.paired import mcnemar
from specs.base import Value
from specs.errors import RunError

MAX_INVALID = 0.02
"""Share of prompts without a verdict above which there is no result."""

Winner = Literal["a", "b"]


class Served(Value):
    """Who answered for a model's name, and how often."""

    model: str | None
    system_fingerprint: str | None
    judgements: int


class WinRate(Value):
    """A against B, as one judge sees it. Shares are of the prompts with a verdict."""

    task: str
    task_fingerprint: str
    judge: str
    judge_fingerprint: str
    a: str
    b: str
    wins: int
    """Prompts where both orders prefer A's reply."""
    losses: int
    ties: int
    """Prompts where the preferred reply changes with the order."""
    invalid: int
    """Prompts without a verdict in both orders; they count nowhere else."""
    win_rate: Rate
    """Mean score: wins and half of the ties; with a soft judge, A's probability."""
    length_controlled: Rate | None
    """The same where both replies are equally long; null: never near."""
    first_preferred: float
    """Share of verdicts for the answer that stood first; without bias 0.5."""
    mean_characters_a: float
    mean_characters_b: float
    served: tuple[Served, ...]
    """Who answered; several models mean that the name changed its meaning meanwhile."""
    judgements: str | None
    """Digest over all that the judge was asked and said; null: a local judge."""
    questions: tuple[QuestionResult, ...]
    """In the order of the pairs: `score` of A, `length_difference`, or `invalid`."""

    @property
    def prompts(self) -> int:
        """How many prompts have a verdict."""
        return self.wins + self.losses + self.ties

    @property
    def shares(self) -> dict[str, float]:
        """Wins, losses and ties as shares that add up to one."""
        return {
            name: getattr(self, name) / self.prompts
            for name in ("wins", "losses", "ties")
        }

    @property
    def inconsistent(self) -> float:
        """Share of prompts where the order decided: what the position does to it."""
        return self.ties / self.prompts

    @property
    def p_value(self) -> float | None:
        """Chance of wins and losses this uneven where both are as good.

        It is that of McNemar's exact test; null where prompts depend on each other.
        """
        if any(one.cluster is not None for one in self.questions):
            return None
        return mcnemar(self.wins, self.losses)

    @property
    def has_drifted(self) -> bool:
        """Whether different models answered for the judge's name."""
        return len({one.model for one in self.served}) > 1


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One pair, judged in both orders."""

    a_first: Winner | None
    """Who is preferred where A's reply comes first."""
    b_first: Winner | None
    soft_score: float | None = None
    """A's probability of being preferred, from a soft judge."""
    output: dict[str, Any]
    """What the judge said, for the record."""

    @property
    def is_valid(self) -> bool:
        """Whether both orders have a verdict."""
        return None not in (self.a_first, self.b_first)

    @property
    def is_tie(self) -> bool:
        """Whether the order decided."""
        return self.a_first != self.b_first

    @property
    def score(self) -> float:
        """Return A's: 1 for a win, 0 for a loss, a half for a tie."""
        if self.soft_score is not None:
            return self.soft_score
        return 0.5 if self.is_tie else float(self.a_first == "a")


def win_rate_of(
    comparison: Comparison,
    judged: Sequence[Judged],
    *,
    judge: LoadedJudge,
    fingerprint: str,
    served: tuple[Served, ...] = (),
    judgements: str | None = None,
) -> WinRate:
    """Count, and put intervals to the counts.

    Args:
        comparison: What was compared.
        judged: Of each pair.
        judge: Who judged.
        fingerprint: Of the judge.
        served: Who answered.
        judgements: Digest of what it was asked and said.

    Raises:
        RunError: Too many prompts have no verdict.
    """
    pairs = comparison.pairs
    assert len(judged) == len(pairs)
    valid = [(p, j) for p, j in zip(pairs, judged, strict=True) if j.is_valid]
    _check_invalid(pairs, judged)
    most = judge.spec.reply_characters
    scores = [one.score for _, one in valid]
    # What was cut off was not seen, so it can't have moved the judge.
    differences = [min(len(p.a), most) - min(len(p.b), most) for p, _ in valid]
    clusters = [p.cluster for p, _ in valid]
    results = Counter(_result(one) for _, one in valid)
    first = sum((one.a_first == "a") + (one.b_first == "b") for _, one in valid)
    name = comparison.task
    return WinRate(
        task=comparison.task,
        task_fingerprint=comparison.task_fingerprint,
        judge=judge.spec.name,
        judge_fingerprint=fingerprint,
        a=comparison.a,
        b=comparison.b,
        wins=results["win"],
        losses=results["loss"],
        ties=results["tie"],
        invalid=len(pairs) - len(valid),
        win_rate=raw_rate(scores, clusters=clusters, name=name),
        length_controlled=length_controlled_rate(
            scores, length_differences=differences, clusters=clusters, name=name
        ),
        first_preferred=round(first / (2 * len(valid)), PLACES),
        mean_characters_a=_mean([len(p.a) for p in pairs]),
        mean_characters_b=_mean([len(p.b) for p in pairs]),
        served=served,
        judgements=judgements,
        questions=tuple(
            _question(p, j, most) for p, j in zip(pairs, judged, strict=True)
        ),
    )


def _check_invalid(pairs: Sequence[Pair], judged: Sequence[Judged]) -> None:
    silent = [p.id for p, j in zip(pairs, judged, strict=True) if not j.is_valid]
    if len(silent) <= MAX_INVALID * len(pairs) and len(silent) < len(pairs):
        return
    raise RunError(
        f"the judge states no verdict on {len(silent)} of {len(pairs)} prompts, more "
        f"than {MAX_INVALID:.0%}: questions {', '.join(silent[:10])}"
        + (", ..." if len(silent) > 10 else ""),
        fix="see what it says in .codemix/judgements, then correct the verdict's "
        "patterns, max_tokens or the template; what it said is kept",
    )


def _result(judged: Judged) -> str:
    if judged.is_tie:
        return "tie"
    return "win" if judged.a_first == "a" else "loss"


def _question(pair: Pair, judged: Judged, most: int) -> QuestionResult:
    values = {"invalid": 1.0}
    if judged.is_valid:
        difference = min(len(pair.a), most) - min(len(pair.b), most)
        score = round(judged.score, PLACES)
        values = {"score": score, "length_difference": float(difference)}
    return QuestionResult(
        id=pair.id,
        values=values,
        cluster=pair.cluster,
        output={
            "a_first": judged.a_first,
            "b_first": judged.b_first,
            "characters": [len(pair.a), len(pair.b)],
            **judged.output,
        },
    )


def _mean(numbers: Sequence[int]) -> float:
    return round(sum(numbers) / len(numbers), PLACES)
