"""From what a replay saw to its grade: never a better one than the evidence.

EXACT       every bit was compared and is the same, and the original claims its bits
EQUIVALENT  a tolerance was declared before the replay; all batches and the initial
            weights are the same, and every logged metric and score is within it
CONSISTENT  asked for before the replay; all batches are the same, and the final loss
            and scores lie in the band that seeds alone make, measured from repeats
AUDITED     every step of every chosen window is the same; the others were not looked at
DIVERGED    something differs more than that
INCOMPLETE  something was not compared, or there are too few repeats to say
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ledger.audit import AuditFacts
from ledger.deviation import Deviations
from ledger.parting import Parting
from ledger.recorder import Channel, Outcome
from ledger.seed_band import FEWEST_REPEATS, SeedBand
from ledger.verdict import Coverage, Grade

Wanted = Literal["EXACT", "EQUIVALENT", "CONSISTENT"]

_ORDER: tuple[Grade, ...] = ("CONSISTENT", "EQUIVALENT", "EXACT")


class Graded(NamedTuple):
    """A grade with its finding."""

    grade: Grade
    what: str
    first_step: int | None = None
    channel: Channel | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a grade is given for."""

    outcome: Outcome
    coverage: Coverage
    first: Parting | None
    """First difference in any bit."""
    stopped: Parting | None
    """The difference that ended the replay."""
    not_claimed: str
    """Why equal bits are more than the original claims; empty where they are not."""
    deviations: Deviations | None = None
    """Null where no tolerance was declared."""
    num_metrics: int = 0
    """Steps whose metrics were compared with the tolerance."""
    num_scores: int = 0
    """Suites whose scores were, each time."""
    band: SeedBand | None = None
    """Null where it was not asked for."""
    audit: AuditFacts | None = None


def grade(seen: Evidence) -> Graded:
    """Give the best grade that the evidence bears."""
    first = seen.first
    if seen.stopped is not None:
        return _diverged(seen.stopped)
    if first is not None and seen.deviations is None and seen.band is None:
        return _metric_diverged(first) if _is_metric(seen) else _diverged(first)
    if seen.outcome.status != "completed":
        reason = seen.outcome.reason or seen.outcome.status
        return Graded("INCOMPLETE", f"the replay did not end: {reason}")
    if seen.audit is not None:
        return _audited(seen, seen.audit)
    if first is None:
        return _same(seen)
    found = _diverged(first)
    if seen.deviations is not None:
        found = _tolerated(seen, seen.deviations, first)
        if found.grade == "EQUIVALENT":
            return found
    return found if seen.band is None else _in_band(seen, seen.band, first, found)


def meets(found: Grade, required: Grade) -> bool:
    """Whether a grade is as good as the one that was required.

    >>> meets("EXACT", "EQUIVALENT"), meets("AUDITED", "EXACT")
    (True, False)
    """
    if found not in _ORDER or required not in _ORDER:
        return found == required
    return _ORDER.index(found) >= _ORDER.index(required)


def _diverged(first: Parting) -> Graded:
    return Graded("DIVERGED", first.what, first.step, first.channel)


def _is_metric(seen: Evidence) -> bool:
    is_metric = seen.first is not None and seen.first.channel == "metrics"
    return is_metric and seen.coverage.steps.is_complete


def _metric_diverged(first: Parting) -> Graded:
    what = (
        f"the weights are the same at every step, but {first.name} of step "
        f"{first.step} was {first.was}, is {first.now}"
    )
    return Graded("DIVERGED", what, first.step, "metrics")


def _same(seen: Evidence) -> Graded:
    missing = _missing(seen.coverage)
    if missing:
        return Graded("INCOMPLETE", missing)
    if seen.not_claimed:
        what = f"every bit is the same this time, but {seen.not_claimed}"
        return Graded("EQUIVALENT", what)
    return Graded("EXACT", "every step, tensor and score is the same")


def _missing(coverage: Coverage) -> str:
    for name, compared in coverage:
        if compared is None or name == "initial":
            continue  # Equal weights after the first step say as much.
        if not compared.is_complete or (name == "tensors" and not compared.total):
            return (
                f"not everything was compared: {compared.same} of "
                f"{compared.total} {name}"
            )
    return ""


def _tolerated(seen: Evidence, found: Deviations, first: Parting) -> Graded:
    """Grade against the tolerance; everything that it asks for must be there."""
    coverage, tolerance = seen.coverage, found.told()
    initial, batches = coverage.initial, coverage.batches
    assert batches is not None
    if initial is None or not initial.total:
        what = "the original does not record its initial weights: nothing says that the"
        return Graded("INCOMPLETE", f"{what} replay began with the same")
    if not initial.is_complete:
        return _diverged(first)
    beyond = found.first_beyond
    if beyond is not None:
        what = (
            f"{beyond.what}: {float(beyond.distance):.3g} off, "
            f"{tolerance.relative} is allowed; first other bit: {first.what}"
        )
        return Graded("DIVERGED", what, beyond.step, beyond.channel)
    for name, count, total in (
        ("steps by batch", batches.same, batches.total),
        ("steps with metrics", seen.num_metrics, coverage.metrics.total),
        ("suites", seen.num_scores, coverage.scores.total),
    ):
        if count != total or not coverage.metrics.total:
            what = f"not everything was compared: {count} of {total} {name}"
            return Graded("INCOMPLETE", what)
    far = tolerance.furthest
    told = f"{far.what}, {float(far.distance):.3g} off" if far else "all numbers equal"
    return Graded(
        "EQUIVALENT",
        f"same data in the same order from the same initial weights, every metric and "
        f"score within {tolerance.relative}; furthest: {told}; "
        f"first other bit at step {first.step} ({first.channel})",
    )


def _in_band(seen: Evidence, band: SeedBand, first: Parting, found: Graded) -> Graded:
    """Grade against what seeds do, after the stricter grades were missed."""
    batches = seen.coverage.batches
    assert batches is not None
    if not batches.is_complete:
        what = f"not everything was compared: {batches.same} of {batches.total} steps"
        return Graded("INCOMPLETE", f"{what} by batch")
    if not band.is_enough:
        what = (
            f"not the same, and too few repeats to say more: {len(band.repeats)} "
            f"completed runs differ in their seed alone, {FEWEST_REPEATS} are needed"
        )
        return Graded("INCOMPLETE", what)
    if not band.quantities:
        return Graded("INCOMPLETE", "the original has no final loss and no scores")
    absent = [one.name for one in band.quantities if one.now is None]
    if absent:
        return Graded("INCOMPLETE", f"the replay has no {absent[0]}")
    repeats, widest = len(band.repeats), band.widest
    if band.outside:
        one = band.outside[0]
        what = (
            f"{one.name} was {one.was}, is {one.now}: outside of {one.low} to "
            f"{one.high}, where {repeats} repeats with other seeds place it"
        )
        return Graded("DIVERGED", f"{what}; {found.what}", first.step, first.channel)
    return Graded(
        "CONSISTENT",
        f"same data in the same order; {len(band.quantities)} final numbers lie in the "
        f"band of {repeats} repeats with other seeds (alpha {band.alpha}); the widest, "
        f"{widest.name}, spans {float(widest.relative_width):.2%} of its mean; "
        f"first other bit at step {first.step} ({first.channel})",
    )


def _audited(seen: Evidence, audit: AuditFacts) -> Graded:
    steps = seen.coverage.steps
    if steps.same != audit.covered_steps:
        what = f"{steps.same} of {audit.covered_steps} chosen steps were compared"
        return Graded("INCOMPLETE", f"not everything was compared: {what}")
    return Graded(
        "AUDITED",
        f"{len(audit.windows)} of {audit.num_possible} possible windows, "
        f"{audit.covered_steps:,} of {audit.total_steps:,} steps ({audit.share:.2%}), "
        "are the same; nothing else was looked at",
    )
