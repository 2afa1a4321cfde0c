"""The one place that talks to MLflow: runs, metrics, tags, files, by explicit address.

Importing MLflow takes seconds, and what it prints is not for the terminal: this module
is only ever loaded in a process of its own, see `ledger.deliver`. Every write may be
done twice and counts once.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ledger.mirror import RECORDING_TAG, Files, MetricPoint
from ledger.mlflow_run import FoundExperiment, FoundRun

SQLITE = "sqlite:///"
"""How the address of a SQLite file begins; its path follows."""

Item = TypeVar("Item")

BATCH_METRICS = 1000
_BATCH_PARAMS = 100
_BATCH_TAGS = 100


class Refused(Exception):
    """MLflow will never take what it was given, however often it is tried."""


class OtherVersion(Exception):
    """The store is that of an older or newer MLflow."""


_OTHER_VERSION = (
    "another version of MLflow made this store: run `mlflow db upgrade`, use a newer "
    "MLflow, or move the store away and run `codemix ledger index --rebuild`"
)


class MlflowIndex:
    """A connection to one MLflow store."""

    def __init__(self, uri: str, *, artifacts: Path) -> None:
        """Connect; make the store's tables if they are missing.

        Args:
            uri: Absolute address of the store.
            artifacts: Folder for files, where the store is not a server with its own.
        """
        # A training machine must never wait minutes for a dead server, and nobody
        # asked it to phone home. Retries are ours: MLflow's would make a run twice
        # where only the answer was lost. Set before MLflow is loaded.
        os.environ.update(
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
            MLFLOW_HTTP_REQUEST_TIMEOUT="10",
            MLFLOW_TRUNCATE_LONG_VALUES="false",
        )
        self._uri = uri
        self._artifacts = artifacts
        with _first_open(uri):
            from mlflow import MlflowClient

            try:
                self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
                self._client.search_experiments(max_results=1)
            except Exception as error:
                if "database schema" in str(error):
                    raise OtherVersion(_OTHER_VERSION) from error
                raise

    def open_run(
        self,
        experiment: str,
        run_name: str,
        tags: Mapping[str, str],
        *,
        started_ms: int,
    ) -> tuple[str, bool]:
        """Return the MLflow run of a recording, and whether it had to be made.

        Args:
            experiment: Name of the MLflow experiment.
            run_name: What MLflow shows.
            tags: With `RECORDING_TAG`, by which the run is found again.
            started_ms: When the recording began.
        """
        experiment_id = self._experiment(experiment)
        known = self._find_runs(experiment_id, tags[RECORDING_TAG])
        for double in known[1:]:
            self.drop_run(double)
        if known:
            return known[0], False
        run = self._client.create_run(experiment_id, started_ms, dict(tags), run_name)
        return str(run.info.run_id), True

    def mark_running(self, run_id: str) -> None:
        """Say that a run is going on, or going on again."""
        self._client.update_run(run_id, status="RUNNING")

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log parameters; they are written once and never change."""
        from mlflow.entities import Param

        for batch in _batches(params.items(), _BATCH_PARAMS):
            values = [Param(key, value) for key, value in batch]
            self._log_batch(run_id, params=values)

    def log_metrics(self, run_id: str, points: Iterable[MetricPoint]) -> None:
        """Log numbers; the same point twice is one point."""
        from mlflow.entities import Metric

        for batch in _batches(points, BATCH_METRICS):
            values = [
                Metric(point.key, point.value, point.unix_ms, point.step)
                for point in batch
            ]
            self._log_batch(run_id, metrics=values)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, over earlier values."""
        from mlflow.entities import RunTag

        for batch in _batches(tags.items(), _BATCH_TAGS):
            self._log_batch(run_id, tags=[RunTag(key, value) for key, value in batch])

    def log_files(self, run_id: str, files: Files) -> None:
        """Store files as artifacts, over earlier ones of the same name."""
        with tempfile.TemporaryDirectory(prefix="codemix-") as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._client.log_artifacts(run_id, folder)

    def end_run(self, run_id: str, status: str, ended_ms: int) -> None:
        """Set how and when a run ended, over what it said before."""
        self._client.set_terminated(run_id, status=status, end_time=ended_ms)

    def drop_run(self, run_id: str) -> None:
        """Take a run that is there twice, or in part, out of sight."""
        self._client.delete_tag(run_id, RECORDING_TAG)
        self._client.delete_run(run_id)

    def find_run(self, experiment: str, recording: str) -> str | None:
        """Return MLflow's own name of a recording's run; null where there is none."""
        run_ids = self._find_runs(self._experiment(experiment), recording)
        return run_ids[0] if run_ids else None

    def read_runs(self) -> Iterator[FoundRun]:
        """Read every run that some workspace has delivered, deleted ones too."""
        from mlflow.entities import ViewType

        experiments = self._experiments()
        token = None
        while experiments and token != "":
            runs = self._client.search_runs(
                list(experiments),
                filter_string=f"tags.`{RECORDING_TAG}` LIKE '%'",
                run_view_type=ViewType.ALL,
                page_token=token,
            )
            yield from (_found(run, experiments) for run in runs)
            token = runs.token or ""

    def read_run(self, run_id: str) -> FoundRun | None:
        """Read one run by MLflow's own name of it; null where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return _found(run, self._experiments())

    def read_history(self, run_id: str, key: str) -> list[MetricPoint]:
        """Read every value of one metric."""
        return [_point(one) for one in self._client.get_metric_history(run_id, key)]

    def download_files(self, run_id: str, folder: Path) -> None:
        """Fetch every artifact of a run into a folder."""
        if self._client.list_artifacts(run_id):
            self._client.download_artifacts(run_id, "", str(folder))

    def _experiments(self) -> dict[str, FoundExperiment]:
        from mlflow.entities import ViewType

        found: dict[str, FoundExperiment] = {}
        token = None
        while token != "":
            page = self._client.search_experiments(
                view_type=ViewType.ALL, page_token=token
            )
            for one in page:
                values = (one.name, one.lifecycle_stage, one.artifact_location)
                found[one.experiment_id] = FoundExperiment(*values)
            token = page.token or ""
        return found

    def _find_runs(self, experiment_id: str, recording: str) -> list[str]:
        """Find the run of a recording; more where an answer of the server was lost."""
        runs = self._client.search_runs(
            [experiment_id], filter_string=f"tags.`{RECORDING_TAG}` = '{recording}'"
        )
        return sorted(str(run.info.run_id) for run in runs)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = None
            if not self._uri.startswith(("http://", "https://")):
                location = (self._artifacts / name).absolute().as_uri()
            try:
                made = self._client.create_experiment(name, artifact_location=location)
                return str(made)
            except MlflowException:
                # Another process was faster; if not, the next line says what is wrong.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _log_batch(self, run_id: str, **values: Any) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(run_id, **values)
        except MlflowException as error:
            # A run that somebody deleted takes nothing either, but can be made anew.
            is_deleted = "must be in the 'active' state" in str(error)
            if error.error_code == "INVALID_PARAMETER_VALUE" and not is_deleted:
                raise Refused(str(error)) from error
            raise


@contextmanager
def _first_open(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of a SQLite file.

    MLflow's own initialisation is not safe against a second process. Write-ahead
    logging lets readers and a writer work side by side afterwards.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        database = sqlite3.connect(path, timeout=30)
        try:
            database.execute("PRAGMA journal_mode=wal")
        finally:
            database.close()


def _found(run: Any, experiments: Mapping[str, FoundExperiment]) -> FoundRun:
    info, data = run.info, run.data
    return FoundRun(
        run_id=info.run_id,
        name=info.run_name,
        experiment=experiments.get(info.experiment_id),
        status=info.status,
        started_ms=info.start_time,
        ended_ms=info.end_time,
        lifecycle=info.lifecycle_stage,
        artifact_uri=info.artifact_uri,
        params=dict(data.params),
        tags=dict(data.tags),
        latest=tuple(_point(one) for one in data._metric_objs),
    )


def _point(metric: Any) -> MetricPoint:
    return MetricPoint(metric.key, metric.value, metric.timestamp, metric.step)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
