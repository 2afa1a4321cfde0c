"""A real MLflow server on PostgreSQL and S3 gets what the journal has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from ledger_runs import play
from run_workspace import codemix, make_run_workspace
from test_mlflow_delivery import journal_metrics, recorder, run_folder
from tracking_servers import Postgres, serve

from ledger.delivery import state_path
from ledger.entry import Entry
from ledger.mirror import entry_files, entry_tags, flat_params
from ledger.store import Ledger
from ledger.sync import rebuild_index, sync

pytestmark = pytest.mark.e2e

CLOUD = {
    "aws_access_key_id": "anybody",
    "aws_secret_access_key": "anything",
    "region_name": "us-east-1",
}


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def address(postgres: Postgres, endpoint: str) -> Iterator[str]:
    """Of an MLflow server whose rows are in PostgreSQL and whose files are in S3."""
    cloud = {name.upper(): value for name, value in CLOUD.items()}
    cloud["AWS_DEFAULT_REGION"] = cloud.pop("REGION_NAME")
    cloud["MLFLOW_S3_ENDPOINT_URL"] = endpoint
    with serve(postgres.uri(), "s3://bucket/tracking", cloud) as (address, _):
        yield address


class Kept:
    """What a server has of one recording, read from its database and its bucket."""

    def __init__(
        self,
        postgres: Postgres,
        endpoint: str,
        recording: str,
        *,
        database: str = Postgres.database,
    ) -> None:
        self._ask = partial(postgres.run, database=database)
        self._endpoint = endpoint
        found = self._ask(
            "select run_uuid from tags where key = 'codemix.recording' "
            f"and value = '{recording}'"
        )
        [(self.run_id,)] = found

    def metrics(self) -> list[tuple[object, ...]]:
        found = self._rows("metrics", "key, value, timestamp, step, is_nan")
        return sorted((*row[:4], int(bool(row[4]))) for row in found)

    def params(self) -> dict[object, object]:
        return dict(self._rows("params", "key, value"))  # type: ignore[arg-type]

    def tags(self) -> dict[object, object]:
        return dict(self._rows("tags", "key, value"))  # type: ignore[arg-type]

    def file(self, name: str) -> bytes:
        [(folder,)] = self._rows("runs", "artifact_uri")
        place = str(folder).removeprefix("mlflow-artifacts:/")
        bucket = boto3.client("s3", endpoint_url=self._endpoint, **CLOUD)
        found = bucket.get_object(Bucket="bucket", Key=f"tracking/{place}/{name}")
        data: bytes = found["Body"].read()
        return data

    def _rows(self, table: str, columns: str) -> list[Any]:
        where = f"run_uuid = '{self.run_id}'"
        return self._ask(f"select {columns} from {table} where {where}")


def assert_has_all(kept: Kept, workspace: Path, journal: Path, digest: str) -> None:
    """Compare value by value with the journal, and byte by byte with the ledger."""
    ledger = Ledger.open(workspace)
    entry = ledger.read(digest)
    assert isinstance(entry, Entry)
    assert kept.metrics() == journal_metrics(journal)
    assert kept.params() == flat_params(entry.spec)
    tags = kept.tags()
    for key, value in {**entry_tags(entry), "codemix.entry": digest}.items():
        assert tags[key] == value
    files = entry_files(digest, entry, ledger.read_bytes(digest), ledger.objects)
    assert {name: kept.file(name) for name in files} == files


def test_a_run_has_everything_in_mlflow_afterwards(
    address: str, postgres: Postgres, endpoint: str, tmp_path: Path
) -> None:
    recording = recorder(tmp_path, address)
    entry = play(recording)
    assert recording.delivered is not None
    assert recording.delivered[1:] == (0, 0, None)
    kept = Kept(postgres, endpoint, entry.recording)
    assert len(kept.metrics()) == 20
    journal = run_folder(tmp_path) / "journal.jsonl"
    assert recording.digest is not None
    assert_has_all(kept, tmp_path, journal, recording.digest)
    # All of it once more, and nothing is doubled.
    state_path(journal, address).unlink()
    assert sync(tmp_path, address).waiting == 0
    assert_has_all(kept, tmp_path, journal, recording.digest)


def test_a_real_run_is_delivered_and_a_lost_server_is_filled_from_its_entry(
    address: str,
    postgres: Postgres,
    endpoint: str,
    tmp_path: Path,
) -> None:
    workspace = tmp_path / "workspace"
    make_run_workspace(workspace)
    code, told, stderr = codemix(
        workspace, "run", "specs/small.yaml", "--ledger", address
    )
    assert code == 0, stderr
    digest = told["entry"]
    entry = Ledger.open(workspace).read(digest)
    assert isinstance(entry, Entry)
    [journal] = workspace.glob(".codemix/runs/*/journal.jsonl")
    kept = Kept(postgres, endpoint, entry.recording)
    assert_has_all(kept, workspace, journal, digest)
    exact = kept.metrics()

    # Without the journal and without the server's rows, from the entry alone.
    for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
        postgres.run(
            f"delete from {table} where run_uuid = '{kept.run_id}'", "tracking"
        )
    shutil.rmtree(journal.parent)
    code, told, stderr = codemix(
        workspace, "ledger", "index", "--rebuild", "--ledger", address
    )
    assert code == 0, stderr
    assert told["entries"] == [digest]
    rebuilt = Kept(postgres, endpoint, entry.recording)
    # When scores were taken is in the journal only.
    assert {(k, v, s, n) for k, v, _, s, n in rebuilt.metrics()} == {
        (k, v, s, n) for k, v, _, s, n in exact
    }
    assert rebuilt.file("entry.json") == Ledger.open(workspace).read_bytes(digest)
    code, told, stderr = codemix(workspace, "ledger", "sync", "--ledger", address)
    assert (code, told["waiting"]) == (0, 0), stderr


def test_a_database_is_a_store_too_and_its_password_stays_out_of_everything(
    postgres: Postgres, endpoint: str, tmp_path: Path
) -> None:
    postgres.run("create database direct", "postgres")
    uri = postgres.uri(database="direct")
    recording = recorder(tmp_path, uri)
    entry = play(recording)
    assert recording.delivered is not None
    assert recording.delivered[1:] == (0, 0, None)
    kept = Kept(postgres, endpoint, entry.recording, database="direct")
    assert kept.metrics() == journal_metrics(run_folder(tmp_path) / "journal.jsonl")
    wrong = uri.replace(postgres.password, "not-the-password")
    report = sync(tmp_path, wrong)
    assert "not-the-password" not in str(report)
    assert rebuild_index(tmp_path, uri).entries == ()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert postgres.password.encode() not in data, path
            assert b"not-the-password" not in data, path
