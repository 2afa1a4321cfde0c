"""MLflow's pages: of a file they are served here, of a server they are found there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import ledger_runs
import pytest
from test_cli_commands import as_json, codemix

from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.sync import sync

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_a_store_that_is_not_there_says_how_to_get_one(workspace):
    shown = codemix("ledger", "ui", "--no-browser")
    assert shown.exit_code == 4
    assert "index --rebuild" in shown.stderr


def test_a_port_that_is_taken_is_told(workspace):
    (workspace / ".codemix").mkdir()
    (workspace / ".codemix" / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = codemix("ledger", "ui", "--no-browser", "--port", str(port))
    assert (shown.exit_code, f"port {port}" in shown.stderr) == (4, True)


def test_a_server_is_opened_as_it_is_and_its_password_is_not_told(
    workspace, monkeypatch
):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    uri = "https://ana:secret@tracking.example/ml/"
    told = as_json("ledger", "ui", "--ledger", uri)
    assert told["url"] == "https://tracking.example/ml/#/experiments"
    assert told["was_started"] is False
    assert opened == [told["url"]]
    as_json("ledger", "ui", "--no-browser", "--ledger", uri)
    assert len(opened) == 1


@pytest.mark.slow
def test_a_store_in_a_file_is_served_until_ctrl_c(workspace):
    ledger = Ledger.open(workspace)
    ledger_runs.play(RunRecorder(ledger, workspace / ".codemix" / "runs" / "aaaa"))
    assert sync(workspace).waiting == 0
    script = "from codemix_cli.main import cli; cli(prog_name='codemix')"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "ledger", "ui", "made-up", "--no-browser"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        page = next(line.strip() for line in lines if line.startswith("http"))
        base, run_id = page.partition("/#/")[0], page.rpartition("/")[2]
        assert base.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(base) as answer:
            assert b"<html" in answer.read().lower()
        with urllib.request.urlopen(
            f"{base}/api/2.0/mlflow/runs/get?run_id={run_id}"
        ) as answer:
            run = json.load(answer)["run"]
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert tags["codemix.entry"] == ledger.find("made-up").digest
        with urllib.request.urlopen(
            f"{base}/get-artifact?run_uuid={run_id}&path=spec.yaml"
        ) as answer:
            assert b"as its author wrote it" in answer.read()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out == f"stopped  {page}\n"
        deadline = time.monotonic() + 20
        while _answers(base):
            assert time.monotonic() < deadline, "the server outlives the command"
            time.sleep(0.2)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.slow
def test_a_store_that_mlflow_cannot_open_is_an_answer(workspace):
    (workspace / ".codemix").mkdir()
    (workspace / ".codemix" / "mlflow.db").write_bytes(b"no database" * 1000)
    shown = codemix("ledger", "ui", "--no-browser")
    assert shown.exit_code == 5
    assert "MLflow did not start" in shown.stderr


def _answers(base: str) -> bool:
    try:
        urllib.request.urlopen(f"{base}/health", timeout=2).close()
    except OSError:
        return False
    return True
