"""`codemix eval` on a run: every way to ask, recorded beside the entry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_workspace import codemix, copy_workspace, entry_of
from sandboxes import require_sandbox

pytestmark = pytest.mark.e2e

TASKS: dict[str, dict[str, Any]] = {
    "colour": {
        "fields": ["thing", "right"],
        "prompt": "{{ thing }}:",
        "choices": {"texts": ["blue", "red"], "right": "{{ right }}"},
        "chance": 0.5,
        "contamination": {"fields": ["thing"]},
    },
    "capital": {
        "fields": ["land", "capital"],
        "prompt": "{{ land }}:",
        "answer": {"accepted": "{{ capital }}", "stop": ["\n"], "max_tokens": 4},
    },
    "sum": {
        "fields": ["name"],
        "prompt": "def {{ name }}",
        "program": {
            "source": "def {{ name }}{{ completion }}\nassert {{ name }}(1, 2) == 3\n",
            "solution": "(a, b): return a + b",
            "stop": ["\n"],
            "max_tokens": 4,
            "samples": 2,
            "temperature": 0.8,
        },
    },
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "colour": [{"thing": f"sky {n}", "right": n % 2} for n in range(6)],
    "capital": [{"land": f"Land {n}", "capital": "X"} for n in range(4)],
    "sum": [{"name": "add"}, {"name": "plus"}],
}


@pytest.fixture(scope="module")
def workspace(
    finished_run: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of a finished run, with tasks of its owner's making."""
    require_sandbox()
    folder = tmp_path_factory.mktemp("eval") / "workspace"
    copy_workspace(finished_run[0], folder)
    # MLflow keeps where its files are: a copy's would go to the original.
    shutil.rmtree(folder / ".codemix" / "mlartifacts")
    (folder / ".codemix" / "mlflow.db").unlink()
    code, _, stderr = codemix(folder, "ledger", "index", "--rebuild")
    assert code == 0, stderr
    for name, way in TASKS.items():
        rows = folder / "benchmarks" / f"{name}.jsonl"
        rows.parent.mkdir(exist_ok=True)
        rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS[name]))
        way = dict(way)
        task = {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "data": {
                "file": f"benchmarks/{name}.jsonl",
                "split": "test",
                "licence": "CC0-1.0",
                "fields": way.pop("fields"),
            },
            **way,
        }
        path = folder / "tasks" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(task))
    return folder


def asked() -> list[str]:
    return [part for name in TASKS for part in ("--task", f"tasks/{name}.yaml")]


@pytest.fixture(scope="module")
def evaluated(workspace: Path) -> dict[str, Any]:
    code, told, stderr = codemix(workspace, "eval", "small", *asked())
    assert code == 0, stderr
    return told


def test_an_evaluation_is_recorded_beside_its_entry(
    workspace: Path, evaluated: dict[str, Any], finished_run: tuple[Path, str]
) -> None:
    document = entry_of(workspace, evaluated["evaluation"])
    assert document["subject"] == finished_run[1]
    assert {task["name"] for task in document["tasks"]} == set(TASKS)
    values = {one["suite"]: one["values"] for one in document["scores"]}
    assert "accuracy_standard_error" in values["colour"]
    assert set(values["sum"]) >= {"pass@1"}
    code, shown, _ = codemix(workspace, "ledger", "show", "small")
    assert code == 0
    told = {one["task"] for one in shown["evaluations"]["scores"]}
    assert told >= set(TASKS)
    code, _, stderr = codemix(workspace, "ledger", "verify")
    assert code == 0, stderr


def test_the_same_evaluation_on_any_devices_is_the_same_document(
    workspace: Path, evaluated: dict[str, Any]
) -> None:
    for devices in (1, 2, 4):
        code, again, stderr = codemix(
            workspace, "eval", "small", *asked(), num_devices=devices
        )
        assert code == 0, stderr
        assert again["evaluation"] == evaluated["evaluation"]
        assert not again["is_new"]


def test_a_checkpoint_is_evaluated_wherever_its_folder_is(
    workspace: Path, evaluated: dict[str, Any], tmp_path: Path
) -> None:
    entry = entry_of(workspace, evaluated["subject"])
    runs = workspace / ".codemix" / "runs" / entry["identity"][:16] / "checkpoints"
    copied = tmp_path / "taken-along" / f"{evaluated['step']:08d}"
    shutil.copytree(runs / copied.name, copied)
    code, told, stderr = codemix(workspace, "eval", str(copied), *asked())
    assert code == 0, stderr
    assert told["evaluation"] == evaluated["evaluation"]


def test_a_run_scores_tasks_at_stage_ends_and_every_so_many_tokens(
    workspace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "workspace"
    spec = copy_workspace(workspace, folder)
    document = json.loads(spec.read_text())
    document["name"] = "scored"
    document["evals"] = [
        {"tasks": ["tasks/colour.yaml"], "every": 700},
        {"tasks": ["tasks/capital.yaml"]},
    ]
    spec.write_text(json.dumps(document))
    spec.with_suffix(".lock").unlink()
    code, told, stderr = codemix(folder, "run", str(spec), "--no-reuse")
    assert code == 0, stderr
    steps: dict[str, list[int]] = {}
    for score in told["scores"]:
        steps.setdefault(score["suite"], []).append(score["step"])
    assert steps["capital"] == [5, 13, 16]
    assert set(steps["colour"]) > {5, 13, 16}
    code, verdict, stderr = codemix(folder, "reproduce", told["entry"])
    assert (code, verdict["grade"]) == (0, "EXACT"), stderr


def test_what_is_wrong_with_tasks_is_told_before_anything_is_asked(
    workspace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "workspace"
    copy_workspace(workspace, folder)
    (folder / "benchmarks" / "colour.jsonl").write_text("")
    code, told, _ = codemix(folder, "eval", "small", "--task", "tasks/colour.yaml")
    assert code == 4
    assert "no question" in json.dumps(told)
    code, told, _ = codemix(folder, "eval", "small", "--suite", "nl-resoning")
    assert code == 3
    assert "did you mean 'nl-reasoning'" in json.dumps(told)
