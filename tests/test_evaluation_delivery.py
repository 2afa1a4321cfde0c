"""An evaluation's numbers reach the MLflow run of its entry, later if it must be."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from evaluated import ANSWERS, BOOLQ, evaluate, make_run
from ledger_runs import hex_of
from test_cli_commands import as_json

from ledger.mirror_evaluations import evaluation_points, evaluation_tag
from ledger.store import Ledger
from ledger.sync import rebuild_index, sync
from ledger.verify_mlflow import verify_mlflow
from ledger.weights import Weights


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def rows(workspace: Path, query: str) -> list[Any]:
    # Straight from the file: what MLflow really kept, without MLflow.
    with closing(sqlite3.connect(workspace / ".codemix/mlflow.db")) as connection:
        return connection.execute(query).fetchall()


def later_metrics(workspace: Path) -> list[Any]:
    query = "select key, value, timestamp, step from metrics where key like 'boolq%'"
    return sorted(rows(workspace, query))


def dead_server() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.slow
def test_an_evaluation_becomes_metrics_of_its_run_once_the_server_answers(
    tmp_path, monkeypatch
):
    run = make_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    done = evaluate(ledger, run, tasks=(BOOLQ,))
    strange = Weights(hex_of("strange"), 70, None, None)
    evaluate(ledger, run, name="copied", tasks=(BOOLQ,), weights=strange)
    down = sync(tmp_path, dead_server())
    assert down.evaluations == 1
    assert "evaluations: " in down.problems[0]
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    told = as_json("ledger", "sync")
    assert (told["ok"], told["evaluations"], told["problems"]) == (True, 0, [])
    expected = sorted(map(tuple, evaluation_points(done.entry)))
    found = [
        (key, value, timestamp, step)
        for key, value, timestamp, step in later_metrics(tmp_path)
    ]
    assert found == [(one[0], one[1], one[2], one[3]) for one in expected]
    assert [one[0] for one in found] == [
        "boolq/accuracy",
        "boolq/accuracy_standard_error",
    ]
    tag = evaluation_tag(done.digest)
    assert rows(tmp_path, f"select value from tags where key = '{tag}'") == [
        (done.digest,)
    ]
    [kept] = (tmp_path / ".codemix/mlartifacts").rglob("evaluations/*/entry.json")
    assert kept.read_bytes() == ledger.read_bytes(done.digest)
    # Once more is as good as once, and nothing is an alarm.
    assert sync(tmp_path).evaluations == 0
    assert later_metrics(tmp_path) == found
    checked = verify_mlflow(tmp_path)
    assert (checked.problems, checked.notes, checked.num_runs) == ((), (), 1)


@pytest.mark.slow
def test_a_lost_store_gets_every_evaluation_again(tmp_path):
    run = make_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    evaluate(ledger, run)
    evaluate(ledger, run, step=8, answers={**ANSWERS, "boolq": (0.5,)})
    sync(tmp_path)
    before = later_metrics(tmp_path)
    assert len(before) == 4
    (tmp_path / ".codemix/mlflow.db").unlink()
    lost = verify_mlflow(tmp_path)
    assert lost.problems
    rebuilt = rebuild_index(tmp_path)
    assert (rebuilt.evaluations, rebuilt.problems) == (0, ())
    assert later_metrics(tmp_path) == before
    assert verify_mlflow(tmp_path).problems == ()
    # A tag that somebody takes away is missed, as it is known to have been there.
    with closing(sqlite3.connect(tmp_path / ".codemix/mlflow.db")) as connection:
        connection.execute("delete from tags where key like 'codemix.evaluation.%'")
        connection.commit()
    problems = verify_mlflow(tmp_path).problems
    assert [one.path.startswith("tags.codemix.evaluation.") for one in problems] == [
        True,
        True,
    ]
