"""One score of one point: its runs, and what was recorded question by question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from evals.statistics.means import cluster_codes
from evals.statistics.seeds import SeedTable, left_over_error
from specs.base import Value
from specs.study import StudyScore

PERCENT = 100.0


class NotKnown(Exception):
    """What is asked can't be told of these scores; says why."""


class RunScore(Value):
    """One score of one run."""

    entry: str
    """Digest of the entry of the run."""
    weights: str
    """Digest of the weights that are scored: those of a shared stage stand in the
    entries of several experiments, and are trained once."""
    trunk: tuple[str, ...]
    """Digests of the weights after the stages before, which others may go on from."""
    sources: tuple[str, ...]
    """Digests of the documents that the number stands in: the entry, or evaluations of
    its weights."""
    step: int
    """Steps done."""
    seed: int
    value: float
    """In the score's unit."""


@dataclass(frozen=True)
class Answers:
    """What one task gave, question by question.

    A report takes hundreds of sums of it, so what they have in common is kept.
    """

    fingerprint: str
    rows: tuple[tuple[float, ...], ...]
    """Per run, in the score's unit."""
    clusters: tuple[str | None, ...]
    ids: tuple[str, ...]
    """Which questions, as every evaluation of the same data calls them."""

    @cached_property
    def totals(self) -> tuple[float, ...]:
        """Per question, the sum over runs."""
        return tuple(map(math.fsum, zip(*self.rows, strict=True)))

    @cached_property
    def codes(self) -> list[int]:
        """Per question, the number of its cluster."""
        return cluster_codes(self.clusters)

    @cached_property
    def left_over(self) -> float:
        """Standard error that neither runs nor questions account for."""
        return left_over_error(SeedTable(self.rows, self.clusters))


@dataclass(frozen=True)
class Measured:
    """What is known of one score of one point."""

    point: str
    score: str
    runs: tuple[RunScore, ...]
    """One per seed."""
    tasks: Mapping[str, Answers]
    """Averaged with equal weights; empty where nothing was recorded per question."""

    @property
    def value(self) -> float:
        """The mean over the runs."""
        return math.fsum(one.value for one in self.runs) / len(self.runs)

    @property
    def origins(self) -> set[str]:
        """What tells that two scores are of runs that were one, at least at first."""
        return {
            name for run in self.runs for name in (run.entry, run.weights, *run.trunk)
        }


class Part(NamedTuple):
    """A score in a weighted sum."""

    weight: float
    measured: Measured


class Missing(Value):
    """Why a score of a point is not known."""

    why: str


class NotFinite(Missing):
    """A seed came to no finite number: a result, which other seeds don't make good."""


def scale_of(score: StudyScore) -> float:
    """Return what a recorded number is multiplied by to be in the score's unit."""
    return PERCENT if score.unit == "percent" else 1.0
