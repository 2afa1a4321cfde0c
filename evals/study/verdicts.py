"""Claims judged by a study's scores: supported, contradicted, or undecided.

A claim is that some weighted sums of scores are above 0; `a > b by >= 5% relative` says
that a - 1.05 b is. It is supported where the whole 95% interval of every sum is above
0: all must hold, and a claim that says too much is let through by its weakest sum alone
(an intersection-union test; Berger, 1982), so nothing is corrected. It is contradicted
where the whole interval of any sum is below 0; any of several can be so by chance, so
that end is widened (Bonferroni). That two scores are alike is supported where both
bounds of the margin hold with 95% each (Schuirmann's two one-sided tests, 1987).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

from evals.study.deciding import Levels, what_decides
from evals.study.evidence import Evidence
from evals.study.measured import NotKnown
from evals.study.sums import Basis, Sum, Summing, leaves
from specs.base import Value
from specs.claims import Alike, Best, Cell, Margin, Order, Parsed, Term
from specs.study import Claim

CONFIDENCE = 0.95

Outcome = Literal["supported", "contradicted", "undecided", "unknown"]
"""`unknown`: a score that the claim speaks of is not in the ledger."""


class Finding(Value):
    """One of the sums that a claim says are above 0."""

    says: str
    """Which, in words."""
    outcome: Outcome
    difference: float
    """Left less right, turned round for `<`, without the margin."""
    surplus: float
    """The same less the margin: the claim says that it is above 0."""
    low: float | None
    """The surplus is above this with 97.5% confidence (95% of `alike`); null: unknown.
    Above 0: this sum supports the claim."""
    high: float | None
    """The surplus is below this, with 97.5% confidence for all sums of the claim
    together. Below 0: it contradicts the claim."""
    over_questions: float | None
    """Standard error of the surplus that comes of the questions."""
    over_seeds: float | None
    """Standard error of the surplus that comes of the seeds."""


class Verdict(Value):
    """What a study says of one claim."""

    name: str
    says: str
    source: str | None
    note: str = ""
    """What the study says beside it."""
    outcome: Outcome
    basis: Basis | None
    """`recipes`, or `runs` where nothing is known of seeds; null: unknown."""
    findings: tuple[Finding, ...]
    seeds_to_decide: int | None
    """Of each point, for a verdict in 4 of 5 tries; null: it is decided, or seeds would
    not decide it."""
    why: str
    """For people: what is missing, or what would decide."""
    entries: tuple[str, ...]
    """Digests of the entries whose scores it is made of."""


class _Inequality(NamedTuple):
    """A sum that should be above 0."""

    says: str
    difference: tuple[tuple[float, Cell], ...]
    surplus: tuple[tuple[float, Cell], ...]
    difference_constant: float
    surplus_constant: float
    base: Term | None
    """What a relative margin is a share of."""


def judge(claim: Claim, evidence: Evidence, summing: Summing) -> Verdict:
    """Judge one claim.

    Args:
        claim: The claim.
        evidence: The study's scores.
        summing: Over the same evidence.
    """
    parsed = claim.parsed
    wanted = list(_inequalities(parsed, evidence))
    levels = _levels(parsed, len(wanted))
    try:
        for one in wanted:
            _check_base(one, summing)
        totals = [summing.sum_of(one.surplus, one.surplus_constant) for one in wanted]
        findings = [
            _finding(one, total, summing, levels)
            for one, total in zip(wanted, totals, strict=True)
        ]
    except NotKnown as error:
        return _verdict(claim, "unknown", None, (), None, str(error), ())
    outcome = _together([one.outcome for one in findings])
    bases = {total.basis for total in totals}
    seeds, why = None, ""
    if outcome == "undecided":
        seeds, why = what_decides(
            [
                total
                for total, one in zip(totals, findings, strict=True)
                if one.outcome == "undecided"
            ],
            levels,
        )
    return _verdict(
        claim,
        outcome,
        "runs" if "runs" in bases else "recipes",
        tuple(findings),
        seeds,
        why,
        _entries(wanted, evidence),
    )


def _verdict(
    claim: Claim,
    outcome: Outcome,
    basis: Basis | None,
    findings: tuple[Finding, ...],
    seeds: int | None,
    why: str,
    entries: tuple[str, ...],
) -> Verdict:
    return Verdict(
        name=claim.name,
        says=claim.says,
        source=claim.source,
        note=claim.note,
        outcome=outcome,
        basis=basis,
        findings=findings,
        seeds_to_decide=seeds,
        why=why,
        entries=entries,
    )


def _inequalities(parsed: Parsed, evidence: Evidence) -> Iterator[_Inequality]:
    if isinstance(parsed, Best):
        is_high = evidence.study.scores[parsed.score].better == "higher"
        winner = Term(cells=(Cell(point=parsed.winner, score=parsed.score),))
        for point in parsed.points:
            if point != parsed.winner:
                other = Term(cells=(Cell(point=point, score=parsed.score),))
                yield (
                    _above(winner, other, None)
                    if is_high
                    else _below(winner, other, None)
                )
    elif isinstance(parsed, Order):
        build = _above if parsed.relation == ">" else _below
        for left, right in itertools.pairwise(parsed.terms):
            yield build(left, right, parsed.margin)
    else:
        left, right = parsed.terms
        yield _within(left, right, parsed.within, 1.0)
        yield _within(left, right, parsed.within, -1.0)


def _above(left: Term, right: Term, margin: Margin | None) -> _Inequality:
    return _inequality(f"{left} > {right}", left, right, 1.0, margin)


def _below(left: Term, right: Term, margin: Margin | None) -> _Inequality:
    return _inequality(f"{left} < {right}", left, right, -1.0, margin)


def _within(left: Term, right: Term, margin: Margin, side: float) -> _Inequality:
    """Say that the left term is not further from the right one than a margin."""
    wider = margin.model_copy(update={"amount": -margin.amount})
    sign = ">" if side > 0 else "<"
    bound = "-" if side > 0 else "+"
    says = f"{left} {sign} {right} {bound} {margin}"
    return _inequality(says, left, right, side, wider)


def _inequality(
    says: str, left: Term, right: Term, side: float, margin: Margin | None
) -> _Inequality:
    """Say that side * (left - right), less the margin, is above 0."""
    difference = (*_weighted(left, side), *_weighted(right, -side))
    constant = side * (left.number or 0.0) - side * (right.number or 0.0)
    surplus, surplus_constant, base = difference, constant, None
    if margin is not None and margin.kind == "relative":
        base = right
        surplus = (*difference, *_weighted(right, -margin.amount))
        surplus_constant = constant - margin.amount * (right.number or 0.0)
    elif margin is not None:
        surplus_constant = constant - margin.amount
    return _Inequality(says, difference, surplus, constant, surplus_constant, base)


def _weighted(term: Term, weight: float) -> tuple[tuple[float, Cell], ...]:
    return tuple((weight / len(term.cells), cell) for cell in term.cells)


def _levels(parsed: Parsed, count: int) -> Levels:
    if isinstance(parsed, Alike):
        # Both bounds are one-sided tests, and no difference breaks both.
        return Levels(1 - 2 * (1 - CONFIDENCE), CONFIDENCE)
    return Levels(CONFIDENCE, 1 - (1 - CONFIDENCE) / count)


def _check_base(wanted: _Inequality, summing: Summing) -> None:
    if wanted.base is None:
        return
    found = summing.sum_of(_weighted(wanted.base, 1.0), wanted.base.number or 0.0)
    if found.value < 0:
        what = f"{wanted.base} is {found.value:g}: a share of it is no margin"
        raise NotKnown(what)


def _finding(
    wanted: _Inequality, total: Sum, summing: Summing, levels: Levels
) -> Finding:
    supporting = total.interval(levels.to_support)
    contradicting = total.interval(levels.to_contradict)
    low = supporting[0] if supporting is not None else None
    high = contradicting[1] if contradicting is not None else None
    outcome: Outcome = "undecided"
    if low is not None and low > 0:
        outcome = "supported"
    elif high is not None and high < 0:
        outcome = "contradicted"
    difference = summing.sum_of(wanted.difference, wanted.difference_constant)
    return Finding(
        says=wanted.says,
        outcome=outcome,
        difference=difference.value,
        surplus=total.value,
        low=low,
        high=high,
        over_questions=total.over_questions,
        over_seeds=total.over_seeds,
    )


def _together(outcomes: list[Outcome]) -> Outcome:
    if "contradicted" in outcomes:
        return "contradicted"
    return "undecided" if "undecided" in outcomes else "supported"


def _entries(wanted: list[_Inequality], evidence: Evidence) -> tuple[str, ...]:
    found = []
    for one in wanted:
        for _, cell in one.surplus:
            for _, leaf in leaves(cell.score, evidence.study.scores):
                measured = evidence.measured(cell.point, leaf)
                found += [run.entry for run in measured.runs] if measured else []
    return tuple(dict.fromkeys(found))
