"""Comparing an MLflow run with what it should hold, row by row and file by file.

Nothing here knows MLflow: what it holds comes as plain values.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.mirror import MetricPoint
from ledger.mirror_expected import (
    ExpectedPoint,
    ExpectedRun,
    as_kept,
    is_same_number,
)
from ledger.mlflow_run import FoundRun


class Difference(NamedTuple):
    """One thing that MLflow holds otherwise than the ledger."""

    place: str
    """Such as `metrics.loss at step 4` or `params.seed`."""
    what: str


def run_differences(
    expected: ExpectedRun, found: FoundRun, *, is_live: bool
) -> Iterator[Difference]:
    """Compare all but the history of metrics and the files.

    Args:
        expected: What the ledger says.
        found: What MLflow says.
        is_live: Whether MLflow has got it from the journal.
    """
    yield from _fact_differences(expected, found)
    yield from _text_differences("params", expected.params, found.params)
    extra = set(found.params) - set(expected.params)
    for key in sorted(extra):
        yield Difference(
            f"params.{key}", f"is {found.params[key]!r}, not in the ledger"
        )
    live = expected.live_tags
    if not is_live:
        live = {tag: value for tag, value in live.items() if tag in found.tags}
    tags = {**expected.tags, **live}
    yield from _text_differences("tags", tags, found.tags)
    for key in sorted(set(found.tags) - {*tags, *expected.other_tags}):
        if key.startswith("codemix."):
            yield Difference(
                f"tags.{key}", f"is {found.tags[key]!r}, not in the ledger"
            )
    shown = found.tags.get("mlflow.runName")
    if shown != expected.name:
        yield _differs("tags.mlflow.runName", shown, expected.name)


def metric_differences(
    expected: ExpectedRun,
    history: Mapping[str, Sequence[MetricPoint]],
    latest: Sequence[MetricPoint],
    *,
    may_lack: bool,
) -> Iterator[Difference]:
    """Compare every row of every metric.

    Args:
        expected: What the ledger says.
        history: Name of a metric -> its rows in MLflow.
        latest: What MLflow takes for the last rows.
        may_lack: Whether MLflow refused some.
    """
    rows: dict[tuple[str, int], list[MetricPoint]] = defaultdict(list)
    for points in history.values():
        for point in points:
            rows[point.key, point.step].append(point)
    for one in expected.required:
        found = rows.get((one.key, one.step), [])
        if any(_is_row_of(one, row) for row in found) or (may_lack and not found):
            continue
        said = f"{one.value!r}{_moments(one)}"
        is_there = ", ".join(f"{row.value!r} at {row.unix_ms}" for row in found)
        what = f"is {is_there or 'missing'}, the ledger says {said}"
        yield Difference(_place(one.key, one.step), what)
    yield from _extra_rows(expected, rows)
    yield from _latest_differences(history, latest)


def file_differences(
    expected: ExpectedRun, digests: Mapping[str, str]
) -> Iterator[Difference]:
    """Compare the files of a run by their digests."""
    for name in sorted({*expected.files, *digests}):
        said, found = expected.files.get(name), digests.get(name)
        place = f"artifacts.{name}"
        if found is None:
            yield Difference(place, "the file is missing")
        elif said is None and name not in expected.other_files:
            yield Difference(place, "a file that is not in the ledger")
        elif said is not None and said != found:
            yield Difference(place, "the file was changed: its bytes are others")


def digest_files(folder: Path) -> dict[str, str]:
    """Hash every file in a folder: relative name -> SHA-256."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return digests


def _fact_differences(expected: ExpectedRun, found: FoundRun) -> Iterator[Difference]:
    if found.name != expected.name:
        yield _differs("run name", found.name, expected.name)
    if expected.status is not None and found.status != expected.status:
        yield _differs("status", found.status, expected.status)
    if found.started_ms != expected.started_ms:
        yield _differs("start_time", found.started_ms, expected.started_ms)
    if expected.ended_ms is not None and found.ended_ms != expected.ended_ms:
        yield _differs("end_time", found.ended_ms, expected.ended_ms)
    if found.lifecycle != "active":
        yield Difference("lifecycle_stage", "the run was deleted in MLflow")
    experiment = found.experiment
    if experiment is None:
        yield Difference("experiment", "MLflow has lost the run's experiment")
        return
    if experiment.name != expected.experiment:
        yield _differs("experiment", experiment.name, expected.experiment)
    if experiment.lifecycle != "active":
        yield Difference("experiment", "the experiment was deleted in MLflow")
    location = f"{experiment.artifact_location}/{found.run_id}/artifacts"
    if found.artifact_uri != location:
        yield _differs("artifact_uri", found.artifact_uri, location)


def _text_differences(
    kind: str, expected: Mapping[str, str], found: Mapping[str, str]
) -> Iterator[Difference]:
    for key, said in sorted(expected.items()):
        if found.get(key) != said:
            yield _differs(f"{kind}.{key}", found.get(key), said)


def _extra_rows(
    expected: ExpectedRun, rows: Mapping[tuple[str, int], Sequence[MetricPoint]]
) -> Iterator[Difference]:
    said: dict[tuple[str, int], list[ExpectedPoint]] = defaultdict(list)
    for one in (*expected.required, *expected.allowed):
        said[one.key, one.step].append(one)
    for place, points in sorted(rows.items()):
        for row in points:
            if not any(_is_row_of(one, row) for one in said.get(place, ())):
                what = f"has a row {row.value!r} at {row.unix_ms} that is not in the "
                yield Difference(_place(*place), f"{what}ledger")


def _latest_differences(
    history: Mapping[str, Sequence[MetricPoint]], latest: Sequence[MetricPoint]
) -> Iterator[Difference]:
    known = {point.key: point for point in latest}
    for key, points in sorted(history.items()):
        found = known.get(key)
        if not points or found is None:
            if points or found is not None:
                what = "its last value is missing" if points else "it has no history"
                yield Difference(f"latest_metrics.{key}", what)
            continue
        last = max((point.step, point.unix_ms) for point in points)
        values = [one.value for one in points if (one.step, one.unix_ms) == last]
        is_same = any(is_same_number(value, found.value) for value in values)
        if (found.step, found.unix_ms) != last or not is_same:
            what = f"is {found.value!r} at step {found.step}, not the last of its rows"
            yield Difference(f"latest_metrics.{key}", what)


def _is_row_of(one: ExpectedPoint, row: MetricPoint) -> bool:
    is_then = one.times is None or row.unix_ms in one.times
    return is_then and is_same_number(one.value, as_kept(row.value))


def _moments(one: ExpectedPoint) -> str:
    times = sorted(one.times or ())
    return f" at {' or '.join(map(str, times))}" if times else ""


def _place(key: str, step: int) -> str:
    return f"metrics.{key} at step {step}"


def _differs(place: str, found: object, said: object) -> Difference:
    is_now = "missing" if found is None else repr(found)
    return Difference(place, f"is {is_now}, the ledger says {said!r}")


def _extra(place: str, value: str) -> Difference:
    return Difference(place, f"is {value!r}, which is not in the ledger")
