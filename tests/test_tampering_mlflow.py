"""Whatever is changed in MLflow's database or files is found, and named."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from evaluated import evaluate
from tampering import make_ledger

from ledger.verify_mlflow import verify_mlflow

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def in_mlflow(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process that may load MLflow; return what it prints."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize(
    ("which", "at_least"),
    [("few", 55), pytest.param("all", 1000, marks=pytest.mark.slow)],
)
@pytest.mark.timeout(1800)
def test_every_change_of_mlflow_is_named(tmp_path, which, at_least):
    ledger = make_ledger(tmp_path)
    evaluate(ledger, ledger.log()[0].digest, name="first")
    told = in_mlflow("mlflow_tampering.py", str(tmp_path), which)
    assert told["before"] == told["after"] == told["alarms"] == []
    assert told["missed"] == []
    assert told["count"] >= at_least, told


def test_without_a_store_there_is_nothing_to_compare(tmp_path):
    make_ledger(tmp_path)
    checked = verify_mlflow(tmp_path)
    assert checked.problems == ()
    assert checked.notes == ("no MLflow store here: nothing to compare",)


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path):
    database = tmp_path / ".codemix" / "mlflow.db"
    database.parent.mkdir()
    for data, why in ((b"no database" * 999, "not a database"), (b"", "no such table")):
        database.write_bytes(data)
        [problem] = verify_mlflow(tmp_path).problems
        assert "can't be opened" in problem.what
        assert why in problem.what
        assert problem.file is not None
        assert problem.file.endswith("mlflow.db")
        assert database.read_bytes() == data


def test_a_server_that_is_not_there_is_named_within_seconds(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for scheme in ("http", "postgresql"):
        uri = f"{scheme}://ana:secret@127.0.0.1:{port}/x"
        [problem] = verify_mlflow(tmp_path, uri).problems
        assert "can't be reached" in problem.what
        assert "secret" not in str(problem)


@pytest.mark.slow
def test_a_server_that_never_answers_is_named_in_less_than_two_minutes(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(64)
        started = time.monotonic()
        uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        [problem] = verify_mlflow(tmp_path, uri).problems
    assert problem.file == uri
    assert time.monotonic() - started < 120


@pytest.mark.slow
def test_no_way_into_mlflow_gives_an_alarm(tmp_path):
    """Live, killed, cut and gone on, inexact, reused, rebuilt, moved."""
    told = in_mlflow("mlflow_no_alarm.py", str(tmp_path))
    assert len(told) == 7
    assert [one["problems"] for one in told.values()] == [[]] * 7
    [waiting] = told["evaluated"]["notes"]
    assert "is not in MLflow yet" in waiting
    for state in ("delivered", "delivered again", "rebuilt", "moved"):
        assert not [one for one in told[state]["notes"] if "evaluation" in one], state
    runs = {state: one["runs"] for state, one in told.items()}
    assert runs["before"] == 0
    assert runs["delivered"] == runs["rebuilt and delivered"] == 5
    # What never ended has no entry to be rebuilt from.
    assert runs["rebuilt"] == 4
    assert len(told["before"]["notes"]) == 5
