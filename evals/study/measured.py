"""One score of one point: its runs, and what was recorded question by question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from specs.base import Value
from specs.study import StudyScore

PERCENT = 100.0


class RunScore(Value):
    """One score of one run."""

    entry: str
    """Digest of the entry of the run."""
    sources: tuple[str, ...]
    """Digests of the documents that the number stands in: the entry, or evaluations of
    its weights."""
    step: int
    """Steps done."""
    seed: int
    value: float
    """In the score's unit."""


class Answers(NamedTuple):
    """What one task gave, question by question."""

    fingerprint: str
    rows: tuple[tuple[float, ...], ...]
    """Per run, in the score's unit."""
    clusters: tuple[str | None, ...]


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


class Missing(Value):
    """Why a score of a point is not known."""

    why: str


def scale_of(score: StudyScore) -> float:
    """Return what a recorded number is multiplied by to be in the score's unit."""
    return PERCENT if score.unit == "percent" else 1.0
