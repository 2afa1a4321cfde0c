"""A study's report as one value: every number in it names the entry it stands in."""

from __future__ import annotations

from collections.abc import Callable

from evals.study.sums import Basis
from evals.study.verdicts import Verdict
from specs.base import Value

Show = Callable[[str, int, int], None]
"""Told how far a report is: what is reckoned, how many are done, of how many."""


def show_nobody(task: str, done: int, total: int) -> None:
    """Tell nobody how far it is."""


class ReportedRun(Value):
    """One run of a point."""

    entry: str
    """Digest."""
    name: str
    seed: int
    step: int
    """Steps done at the point."""


class ReportedPoint(Value):
    """A row of the tables."""

    name: str
    label: str
    experiment: str
    """Name of the first experiment; the others differ in their seed."""
    stage: str
    is_baseline: bool
    runs: tuple[ReportedRun, ...]
    """Those that are in the ledger and came to the end of the stage."""
    num_wanted: int
    """Runs that the study asks for."""
    stopped: tuple[str, ...] = ()
    """Which runs are left out as they did not come to it, and how far they came."""


class ReportedScore(Value):
    """A column of the tables."""

    name: str
    label: str
    unit: str
    better: str
    decimals: int = 1
    """Of its numbers as people are told them; the same for all, so they line up."""


class ReportedCell(Value):
    """One score of one point."""

    point: str
    score: str
    value: float | None
    """In the score's unit; null: not known."""
    low: float | None
    """Where it lies with 95% confidence; null: nothing tells."""
    high: float | None
    basis: Basis | None
    num_seeds: int
    against_baseline: float | None
    """Difference from the baseline, in the score's unit."""
    against_low: float | None
    against_high: float | None
    relative: float | None
    """The same as a share of the baseline's score."""
    sources: tuple[str, ...]
    """Digests of the entries and evaluations that it stands in."""
    why: str
    """Why it is not known."""


class ReportedExpectation(Value):
    """A result published elsewhere."""

    point: str
    score: str
    value: float
    kind: str
    source: str
    reading_error: float
    note: str = ""


class ReportedEntry(Value):
    """Where numbers come from."""

    entry: str
    name: str
    spec_digest: str
    lock_digest: str
    weights_digest: str | None
    codemix: str
    determinism: str
    num_steps: int
    realised_tokens: dict[str, int]
    """Source -> tokens that it was trained on, taken-over stages included."""


class StudyReport(Value):
    """What a study found."""

    schema_version: int = 1
    name: str
    description: str
    points: tuple[ReportedPoint, ...]
    scores: tuple[ReportedScore, ...]
    cells: tuple[ReportedCell, ...]
    expected: tuple[ReportedExpectation, ...]
    claims: tuple[Verdict, ...]
    entries: tuple[ReportedEntry, ...]

    def cell(self, point: str, score: str) -> ReportedCell:
        """Return one cell."""
        return next(
            one for one in self.cells if (one.point, one.score) == (point, score)
        )

    @property
    def num_known(self) -> int:
        """Cells that have a number."""
        return sum(one.value is not None for one in self.cells)
