"""Runs that go on from another run: the prefix is what was trained, or they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import run_workspace
from run_workspace import codemix, entry_of, evidence
from test_reuse import checkpoint_of, trained_steps, workspace

__all__ = ["workspace"]

MORE = run_workspace.stage(
    "more",
    512,
    {"schedule": "linear", "peak": "previous", "final": 1e-06},
    optimizer="keep",
)
"""Two steps."""


def amend(folder: Path, entry: str, **changes: Any) -> Path:
    """Write a spec that goes on from a run after its second stage."""
    spec = {
        "codemix": 1,
        "name": "amended",
        "extends": {"entry": entry[:12], "after": "text"},
        "stages": [MORE],
        **changes,
    }
    path = folder / "specs" / "amended.yaml"
    path.write_text(json.dumps(spec, indent=1))
    return path


def run(folder: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    return codemix(folder, "run", "specs/amended.yaml", *options)


@pytest.mark.e2e
def test_an_amendment_trains_what_is_new_and_records_where_it_forked(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    origin = finished_run[1]
    amend(workspace, origin)
    code, told, stderr = run(workspace)
    assert code == 0, stderr
    entry = entry_of(workspace, told["entry"])
    assert trained_steps(workspace, entry) == [13, 14]
    assert entry["parent"] == {"entry": origin, "stage": "text", "step": 13}
    assert entry["spec"]["amends"] == {"entry": origin, "after": "text"}
    names = [(one["name"], one["reused_from"]) for one in entry["stages"]]
    assert names == [("balanced", origin), ("text", origin), ("more", None)]
    # To be replayed it needs nothing of the run that it went on from.
    shutil.rmtree(checkpoint_of(workspace, origin, 13).parent)
    ledger = workspace / ".codemix" / "ledger"
    (ledger / "entries" / f"{origin}.json").rename(workspace / "elsewhere.json")
    lines = (ledger / "log.jsonl").read_text().splitlines(keepends=True)
    (ledger / "log.jsonl").write_text(
        "".join(line for line in lines if f'"entry":"{origin}"' not in line)
    )
    code, verdict, stderr = codemix(workspace, "reproduce", told["entry"])
    assert (code, verdict["grade"]) == (0, "EXACT"), stderr
    assert "devices.mesh" not in stderr


@pytest.mark.e2e
def test_changed_data_is_not_what_the_prefix_was_trained_on(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    amend(workspace, finished_run[1])
    path = workspace / "data" / "prose.jsonl"
    path.write_text(path.read_text().replace("doc 1-7", "doc 1-x", 1))
    code, told, _ = codemix(workspace, "pin", "specs/amended.yaml")
    (problem,) = told["problems"]
    assert (code, problem["path"]) == (4, "sources.prose")
    assert problem["what"] == (
        "data/prose.jsonl has changed: the prefix would not be the one that was trained"
    )
    assert finished_run[1][:12] in problem["fix"]
    code, again, _ = run(workspace)
    assert (code, again["problems"]) == (4, told["problems"])


@pytest.mark.slow
def test_without_reuse_the_prefix_is_trained_again_and_compared(
    finished_run: tuple[Path, str], workspace: Path, tmp_path: Path
) -> None:
    origin = finished_run[1]
    shutil.rmtree(checkpoint_of(workspace, origin, 13))
    amend(workspace, origin)
    code, told, _ = run(workspace)
    assert code == 4
    (problem,) = told["problems"]
    assert "goes on from stage text of entry" in problem["what"]
    assert "--no-reuse" in problem["fix"]
    code, told, stderr = run(workspace, "--no-reuse")
    assert code == 0, stderr
    entry = entry_of(workspace, told["entry"])
    assert trained_steps(workspace, entry) == list(range(15))
    assert entry["parent"] == {"entry": origin, "stage": "text", "step": 13}
    original = entry_of(*finished_run)
    assert evidence(entry)["stages"][:2] == evidence(original)["stages"][:2]
