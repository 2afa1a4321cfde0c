"""MLflow gets everything once, whatever dies, and training never waits for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ledger_runs import facts, hex_of, play

from ledger.delivery import Delivery, state_path, tracking_uri
from ledger.journal import read_journal
from ledger.mirror import MetricPoint, score_points, step_points
from ledger.recorder import COMPLETED
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.sync import rebuild_index, sync
from specs.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def run_folder(workspace: Path) -> Path:
    return workspace / ".codemix" / "runs" / "a"


def recorder(workspace: Path, uri: str | None = None) -> RunRecorder:
    folder = run_folder(workspace)
    delivery = Delivery(workspace, folder, uri)
    return RunRecorder(Ledger.open(workspace), folder, delivery=delivery)


def rows(database: Path, query: str) -> list[Any]:
    # Straight from the file: what MLflow really kept, without MLflow.
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def as_mlflow_keeps(point: MetricPoint) -> tuple[object, ...]:
    """MLflow keeps NaN as a flag, and neither infinity nor the sign of zero."""
    is_nan = point.value != point.value
    largest = sys.float_info.max
    value = 0.0 if is_nan else max(-largest, min(point.value, largest)) + 0.0
    return (point.key, value, point.unix_ms, point.step, int(is_nan))


def journal_metrics(journal: Path) -> list[tuple[object, ...]]:
    points: list[MetricPoint] = []
    for line in read_journal(journal):
        if line.event["kind"] == "step":
            points += step_points(line.event)
        elif line.event["kind"] == "scores":
            points += score_points(line.event)
    return sorted(map(as_mlflow_keeps, points))


def mlflow_metrics(database: Path) -> list[tuple[object, ...]]:
    query = "select key, value, timestamp, step, is_nan from metrics"
    return sorted(rows(database, query))


@pytest.fixture(scope="module")
def delivered(tmp_path_factory) -> Path:
    """A workspace whose one run is finished and delivered."""
    workspace = tmp_path_factory.mktemp("delivered")
    recording = recorder(workspace, tracking_uri(workspace))
    play(recording)
    assert recording.delivered is not None
    assert recording.delivered[1:] == (0, 0, None)
    return workspace


def database_of(workspace: Path) -> Path:
    return workspace / ".codemix" / "mlflow.db"


def test_every_number_arrives_once(delivered):
    found = mlflow_metrics(database_of(delivered))
    assert found == journal_metrics(run_folder(delivered) / "journal.jsonl")
    assert len(found) == len(set(found)) == 20


def test_params_tags_and_status_are_those_of_the_entry(delivered):
    database = database_of(delivered)
    stored = Ledger.open(delivered).find("made-up")
    params = dict(rows(database, "select key, value from params"))
    assert params["stages.1.learning_rate.peak"] == "0.001"
    tags = dict(rows(database, "select key, value from tags"))
    assert tags["codemix.entry"] == stored.digest
    assert tags["codemix.spec"] == stored.entry.spec_digest
    assert tags["codemix.weights.text"] == stored.entry.weights_digest
    times = stored.entry.times
    [(status, started, ended)] = rows(
        database, "select status, start_time, end_time from runs"
    )
    assert status == "FINISHED"
    assert (started, ended) == (times.started_unix_ms, times.ended_unix_ms)


def test_files_are_the_bytes_of_the_ledger(delivered):
    stored = Ledger.open(delivered).find("made-up")
    [folder] = (delivered / ".codemix/mlartifacts/made-up").glob("*/artifacts")
    entry = (folder / "entry.json").read_bytes()
    assert entry == Ledger.open(delivered).read_bytes(stored.digest)
    listed = json.loads((folder / "files.json").read_bytes())
    assert listed["entry"] == stored.digest
    objects = Ledger.open(delivered).objects
    for name, sha256 in listed["files"].items():
        assert (folder / name).read_bytes() == objects.path(sha256).read_bytes()


def test_the_store_is_opened_for_readers_beside_a_writer(delivered):
    assert rows(database_of(delivered), "pragma journal_mode") == [("wal",)]


def test_the_log_beside_the_journal_is_quiet(delivered):
    assert (run_folder(delivered) / "delivery.log").read_text() == ""


def test_delivering_again_doubles_nothing(delivered, tmp_path):
    workspace = tmp_path / "copy"
    shutil.copytree(delivered, workspace)
    database = database_of(workspace)
    before = mlflow_metrics(database)
    state_path(
        run_folder(workspace) / "journal.jsonl", tracking_uri(delivered)
    ).unlink()
    result = sync(workspace)
    assert result.waiting == 0
    assert mlflow_metrics(database) == before
    assert len(rows(database, "select * from runs")) == 1


def test_a_lost_store_is_rebuilt_from_the_entries(delivered, tmp_path):
    workspace = tmp_path / "copy"
    shutil.copytree(delivered, workspace)
    shutil.rmtree(run_folder(workspace))
    shutil.rmtree(workspace / ".codemix" / "mlartifacts")
    for path in (workspace / ".codemix").glob("mlflow.db*"):
        path.unlink()
    stored = Ledger.open(workspace).find("made-up")
    assert rebuild_index(workspace).entries == (stored.digest,)
    database, original = database_of(workspace), database_of(delivered)
    # When scores were taken is in the journal only.
    query = "select key, value, step, is_nan from metrics order by key, step"
    assert rows(database, query) == rows(original, query)
    query = "select key, value from params order by key"
    assert rows(database, query) == rows(original, query)
    query = "select status, start_time, end_time, name from runs"
    assert rows(database, query) == rows(original, query)
    assert list(workspace.glob(".codemix/mlartifacts/*/*/artifacts/entry.json"))


RECORDING = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from ledger_runs import play
from test_mlflow_delivery import recorder
def pause(step):
    if step == 10:
        print("at step 10", flush=True)
        time.sleep(60)
play(recorder(Path(sys.argv[1]), sys.argv[2]), before_step=pause)
"""


def kill_at_step_10(workspace: Path, uri: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(workspace), uri],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at step 10\n"
        os.kill(process.pid, signal.SIGKILL)


def test_a_killed_run_is_marked_and_goes_on_as_the_same_mlflow_run(tmp_path):
    uri = tracking_uri(tmp_path)
    kill_at_step_10(tmp_path, uri)
    database = database_of(tmp_path)
    wait_for_status(database, "KILLED")
    recording = recorder(tmp_path, uri)
    play(recording, start=8)
    assert recording.delivered is not None
    assert recording.delivered.waiting == 0
    assert rows(database, "select status from runs") == [("FINISHED",)]
    journal = run_folder(tmp_path) / "journal.jsonl"
    assert mlflow_metrics(database) == journal_metrics(journal)


@pytest.mark.slow
def test_a_run_whose_processes_all_died_is_marked_by_the_next_sync(tmp_path):
    uri = tracking_uri(tmp_path)
    recording = recorder(tmp_path, uri)
    play(recording, stop=10, outcome=None)
    recording.close()
    assert sync(tmp_path, uri).waiting == 0
    assert rows(database_of(tmp_path), "select status from runs") == [("KILLED",)]


def wait_for_status(database: Path, status: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if rows(database, "select status from runs") == [(status,)]:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"no run became {status} within {seconds} s")


def test_four_processes_open_a_fresh_store_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    recordings = []
    for number in range(4):
        recording = recorder(tmp_path / str(number), uri)
        recording.begin(facts(identity=hex_of(number)))
        recordings.append(recording)
    for recording in recordings:
        recording.finish(COMPLETED)
        assert recording.delivered is not None
        assert recording.delivered[1:] == (0, 0, None)
    statuses = rows(tmp_path / "shared.db", "select status from runs")
    assert statuses == [("FINISHED",)] * 4
    for number in range(4):
        log = run_folder(tmp_path / str(number)) / "delivery.log"
        assert log.read_text() == ""


def test_a_dead_server_costs_a_moment_at_the_end_and_loses_nothing(tmp_path):
    uri = f"http://ana:secret@127.0.0.1:{free_port()}"
    recording = recorder(tmp_path, uri)
    started = time.monotonic()
    play(recording, outcome=None)
    assert time.monotonic() - started < 2
    recording.finish(COMPLETED)
    found = recording.delivered
    assert found is not None
    lines = list(read_journal(run_folder(tmp_path) / "journal.jsonl"))
    assert found.waiting == len(lines)
    assert found.problem is not None
    assert "Connection refused" in found.problem
    for path in run_folder(tmp_path).glob("delivery*"):
        assert "secret" not in path.read_text()
    assert "secret" not in str(found)


def test_an_address_of_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="not an address of an MLflow store"):
        Delivery(tmp_path, run_folder(tmp_path), "ftp://example.com")


def test_the_address_is_absolute_wherever_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(Path("w")) == f"sqlite:///{tmp_path}/w/.codemix/mlflow.db"
    assert tracking_uri(Path("w"), "sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking_uri(Path("w")) == "http://host:5000"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    ) as process:
        try:
            wait_until_healthy(port)
            yield process
        finally:
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until_healthy(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError("the server did not start")


@pytest.mark.slow
def test_a_server_killed_in_mid_run_gets_everything_later_and_once(tmp_path):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    (tmp_path / "server").mkdir()
    database = tmp_path / "server" / "server.db"
    longest = 0.0
    with mlflow_server(tmp_path / "server", port) as server:

        def kill_in_the_middle(step: int) -> None:
            nonlocal longest
            now = time.monotonic()
            if step == 6:
                wait_for_status(database, "RUNNING")
                kill_group(server)
                now = time.monotonic()
            time.sleep(0.05)
            longest = max(longest, time.monotonic() - now)

        recording = recorder(tmp_path, uri)
        play(recording, before_step=kill_in_the_middle)
    assert longest < 0.5
    assert recording.delivered is not None
    assert recording.delivered.waiting > 0
    assert recording.delivered.problem is not None
    with mlflow_server(tmp_path / "server", port):
        assert sync(tmp_path, uri).waiting == 0
        assert sync(tmp_path, uri).waiting == 0
    journal = run_folder(tmp_path) / "journal.jsonl"
    assert mlflow_metrics(database) == journal_metrics(journal)
    assert rows(database, "select status from runs") == [("FINISHED",)]
    assert list((tmp_path / "server/artifacts").glob("*/*/artifacts/entry.json"))
