"""What an MLflow store holds of one run, as plain values."""

from __future__ import annotations

from typing import NamedTuple

from ledger.mirror import MetricPoint


class FoundExperiment(NamedTuple):
    """An MLflow experiment."""

    name: str
    lifecycle: str
    """`active` or `deleted`."""
    artifact_location: str


class FoundRun(NamedTuple):
    """One MLflow run, without the history of its metrics."""

    run_id: str
    name: str
    experiment: FoundExperiment | None
    """Null where the store does not hold it any more."""
    status: str
    started_ms: int | None
    ended_ms: int | None
    lifecycle: str
    """`active` or `deleted`."""
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    latest: tuple[MetricPoint, ...]
    """What the store takes for the last value of each metric."""
