"""The scores of a study's points, out of the ledger, each with where it comes from.

A point is the end of a stage of an experiment, once per seed. A score of it is a number
of a suite, of a task, or of a win-rate. What was recorded per question stands beside
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evals.study.measured import Measured, Missing
from evals.study.reading import PointReader
from ledger.listing import rows_of
from ledger.store import Ledger
from specs.experiment import Experiment, experiment_digest
from specs.study_loaded import Study


@dataclass(frozen=True)
class Evidence:
    """All scores of a study that are no means of others."""

    study: Study
    entries: Mapping[str, str]
    """Experiment -> the entry of its last completed run."""
    found: Mapping[tuple[str, str], Measured | Missing]
    """Point, score -> what is known of it."""

    def measured(self, point: str, score: str) -> Measured | None:
        """Return what is known of a score that is no mean; None: nothing."""
        one = self.found[point, score]
        return one if isinstance(one, Measured) else None


def gather(
    study: Study, ledger: Ledger, entries: Mapping[str, str] | None = None
) -> Evidence:
    """Read the scores of a study.

    Args:
        study: The study.
        ledger: Has its runs.
        entries: Experiment -> digest of its entry. None: its last completed run; others
            may have had other data.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: One is missing.
    """
    experiments = {one.name: one for _, one in study.experiments}
    if entries is None:
        entries = _entries(experiments.values(), ledger)
    points = study.points
    reader = PointReader(ledger, entries, points)
    return Evidence(
        study=study,
        entries=entries,
        found={
            (point, name): reader.read(points[point], name, score)
            for point in points
            for name, score in study.scores.items()
            if not score.mean
        },
    )


def _entries(experiments: Iterable[Experiment], ledger: Ledger) -> dict[str, str]:
    wanted: dict[str, list[str]] = {}
    for one in experiments:
        # Names do not count: one run may be all that two experiments are.
        wanted.setdefault(experiment_digest(one), []).append(one.name)
    found: dict[str, str] = {}
    for row in rows_of(ledger.folder):
        is_whole = row.kind == "run" and row.result == "completed"
        if is_whole and row.spec_digest in wanted:
            found |= dict.fromkeys(wanted[row.spec_digest], row.digest)
    return found
