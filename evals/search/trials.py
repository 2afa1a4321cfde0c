"""The trials of a search: entries of the ledger whose mixtures it could propose."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict

from evals.study.measured import Missing, NotFinite
from evals.study.reading import PointReader
from ledger.documents import run_of
from ledger.listing import rows_of
from ledger.rows import Row
from ledger.store import Ledger
from specs.base import Value
from specs.errors import InputError
from specs.experiment import Experiment, experiment_digest
from specs.lock import Lock
from specs.search import Search
from specs.search_space import SearchSpace, Shares
from specs.study_loaded import Study, StudyPoint


class _Tried(Value):
    """One mixture that was tried."""

    name: str
    """Of its experiment."""
    shares: Shares
    """Per mille, in the order of the search space."""
    weights: dict[str, float]
    """Place in the spec -> percent of the mixture."""
    entry: str
    """Digest, of the last run."""


class Trial(_Tried):
    """One mixture whose run is completed."""

    model_config = ConfigDict(allow_inf_nan=True)

    objective: float
    """In the score's unit; not finite where the run came to no number."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; a number that isn't finite is null."""
        value = self.objective if math.isfinite(self.objective) else None
        return {
            "name": self.name,
            "weights": self.weights,
            "objective": value,
            "entry": self.entry,
        }


class FailedTrial(_Tried):
    """One mixture whose run has failed, and that no run has completed."""

    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return self.model_dump(exclude={"shares"})


def space_of(study: Study, search: Search) -> SearchSpace:
    """Return what a study's search may propose."""
    known = {one.name: one for _, one in study.experiments}
    return SearchSpace(base=known[search.experiment], varied=search.shares)


def trials_in(study: Study, search: Search, ledger: Ledger, lock: Lock) -> list[Trial]:
    """Return the trials that the ledger has, in the order of their shares.

    Args:
        study: The study.
        search: Its search.
        ledger: Has the runs.
        lock: Of the experiment whose mixtures are varied: a run on other data is none.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: One is missing, or a run has no such score.
    """
    space = space_of(study, search)
    return [
        Trial(
            name=space.name(shares),
            shares=shares,
            weights=_weights(space, shares),
            objective=_objective(study, search, space, shares, digest, ledger),
            entry=digest,
        )
        for shares, digest in _first(space, ledger, lock, _rows(ledger)).items()
    ]


def failures_in(
    study: Study, search: Search, ledger: Ledger, lock: Lock
) -> list[FailedTrial]:
    """Return the trials that have only failed, in the order of their shares.

    Args:
        study: The study.
        search: Its search.
        ledger: Has the runs.
        lock: Of the experiment whose mixtures are varied: a run on other data is none.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: One is missing.
    """
    space = space_of(study, search)
    completed = _first(space, ledger, lock, _rows(ledger))
    last_failed = reversed(_rows(ledger, "failed"))
    return [
        FailedTrial(
            name=space.name(shares),
            shares=shares,
            weights=_weights(space, shares),
            reason=run_of(ledger.find(digest)).outcome.reason,
            entry=digest,
        )
        for shares, digest in _first(space, ledger, lock, last_failed).items()
        if shares not in completed
    ]


def best_of(trials: Iterable[Trial], *, higher: bool) -> Trial | None:
    """Return the best trial, of equal ones the first; None: there is none."""
    finite = [one for one in trials if math.isfinite(one.objective)]
    sign = -1.0 if higher else 1.0
    return min(finite, key=lambda one: sign * one.objective, default=None)


def _rows(ledger: Ledger, result: str = "completed") -> list[Row]:
    rows = rows_of(ledger.folder)
    return [row for row in rows if (row.kind, row.result) == ("run", result)]


def _first(
    space: SearchSpace, ledger: Ledger, lock: Lock, rows: Iterable[Row]
) -> dict[Shares, str]:
    """Return the first run of each mixture of the space, in the order of shares."""
    found: dict[Shares, str] = {}
    for row in rows:
        shares = space.shares_of(row.name)
        if shares is None or not space.holds(shares) or shares in found:
            continue
        is_same = row.spec_digest == experiment_digest(space.experiment(shares))
        if is_same and _is_on(lock, row.digest, ledger):
            found[shares] = row.digest
    return dict(sorted(found.items()))


def _weights(space: SearchSpace, shares: Shares) -> dict[str, float]:
    return {
        share.place: value / 10
        for share, value in zip(space.varied, shares, strict=True)
    }


def _is_on(lock: Lock, digest: str, ledger: Ledger) -> bool:
    """Whether a run read the same bytes."""
    theirs = Lock.model_validate(
        ledger.objects.get_json(run_of(ledger.find(digest)).lock)
    )
    return all(
        name in lock.inputs
        and [file.sha256 for file in lock.inputs[name].files]
        == [file.sha256 for file in one.files]
        for name, one in theirs.inputs.items()
    )


def _objective(
    study: Study,
    search: Search,
    space: SearchSpace,
    shares: Shares,
    digest: str,
    ledger: Ledger,
) -> float:
    name, wanted = space.name(shares), study.scores[search.objective.score]
    point = _point(space.base, search, name)
    reader = PointReader(ledger, {name: digest}, {})
    parts = wanted.mean or (search.objective.score,)
    values = []
    for part in parts:
        measured = reader.read(point, part, study.scores[part])
        if isinstance(measured, NotFinite):
            return math.nan
        if isinstance(measured, Missing):
            raise InputError(
                f"{name} ({digest[:12]}) has no {part}: {measured.why}",
                fix=f"ask for it in evals of {space.base.name}; or make it up for by "
                f"codemix eval {digest[:12]}",
            )
        values.append(measured.value)
    return math.fsum(values) / len(values)


def _point(base: Experiment, search: Search, name: str) -> StudyPoint:
    stages = [stage.name for stage in base.stages]
    after = search.objective.after or stages[-1]
    return StudyPoint(
        name=name,
        label=name,
        experiments=(name,),
        stage=after,
        stage_index=stages.index(after),
    )
