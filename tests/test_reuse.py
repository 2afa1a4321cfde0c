"""Stages that another run has trained are taken over, to the bit, and never blindly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import run_workspace
from run_workspace import codemix, copy_workspace, entry_of, evidence, stage
from test_killed_runs import kill, start, wait_for
from test_processes import Job, flip_a_bit, run_arguments

OTHER_END = stage(
    "other_end",
    512,
    {"schedule": "linear", "peak": 0.002, "final": 1e-06},
    optimizer="reset",
)
"""Two steps."""


@pytest.fixture
def workspace(finished_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A workspace whose ledger has one run of three stages."""
    folder = tmp_path / "study"
    copy_workspace(finished_run[0], folder)
    return folder


def write_study(folder: Path, name: str = "study", **changes: Any) -> None:
    """Write a spec that shares two stages with the run, under other names."""
    first, second, _ = run_workspace.STAGES
    stages = [{**first, "name": "one"}, {**second, "name": "two"}, OTHER_END]
    run_workspace.write_run_spec(folder, **{"name": name, "stages": stages, **changes})


def run(
    folder: Path, *options: str, num_devices: int | None = None
) -> tuple[dict[str, Any], str]:
    """Run the spec of the workspace; return its entry and what was said."""
    code, told, stderr = codemix(
        folder, "run", "specs/small.yaml", *options, num_devices=num_devices
    )
    assert code == 0, stderr
    return entry_of(folder, told["entry"]), stderr


def trained_steps(folder: Path, entry: dict[str, Any]) -> list[int]:
    """Return the steps that a run's journal says were trained."""
    path = folder / ".codemix" / "runs" / entry["identity"][:16] / "journal.jsonl"
    events = [json.loads(line)[1] for line in path.read_text().splitlines()]
    return [event["step"] for event in events if event["kind"] == "step"]


def checkpoint_of(folder: Path, digest: str, step: int) -> Path:
    """Return the folder of a checkpoint of a run."""
    identity = entry_of(folder, digest)["identity"][:16]
    return folder / ".codemix" / "runs" / identity / "checkpoints" / f"{step:08d}"


@pytest.mark.e2e
def test_a_shared_prefix_is_trained_once_and_ends_in_the_same_bits(
    finished_run: tuple[Path, str], workspace: Path, tmp_path: Path
) -> None:
    # On one device what was trained on all of them.
    write_study(workspace)
    shutil.copytree(workspace, tmp_path / "anew", symlinks=True)
    entry, stderr = run(workspace, num_devices=1)
    origin = finished_run[1]
    assert trained_steps(workspace, entry) == [13, 14]
    for words in ("stage one (5 steps)", "stage two (8 steps)"):
        assert f"{words} is taken over from entry {origin[:12]}" in stderr
    assert [one["reused_from"] for one in entry["stages"]] == [origin, origin, None]
    assert [one["name"] for one in entry["stages"]] == ["one", "two", "other_end"]
    assert [one["step"] for one in entry["checkpoints"]] == [5, 13, 15]

    # Nothing but the ledger of the other run is needed to know all of its steps.
    anew, _ = run(tmp_path / "anew", "--no-reuse")
    assert trained_steps(tmp_path / "anew", anew) == list(range(15))
    ours, theirs = evidence(entry), evidence(anew)
    assert ours["stages"] == theirs["stages"]
    assert ours["scores"] == theirs["scores"]

    code, verdict, _ = codemix(workspace, "reproduce", "study")
    assert (code, verdict["grade"]) == (0, "EXACT")
    assert verdict["compared"]["steps"] == {"same": 15, "total": 15}
    code, scores, _ = codemix(workspace, "eval", "study")
    assert (code, scores["is_same"], len(scores["scores"])) == (0, True, 3)


@pytest.mark.e2e
def test_a_damaged_checkpoint_is_not_taken_over_but_an_earlier_one_is(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    write_study(workspace)
    damaged = checkpoint_of(workspace, finished_run[1], 13)
    flip_a_bit(next(damaged.glob("*.rows")))
    entry, stderr = run(workspace)
    assert "stage two, but it can't be taken over: the checkpoint after" in stderr
    assert trained_steps(workspace, entry) == list(range(5, 15))
    assert (damaged / "manifest.json").exists(), "it is another run's: left as it is"


@pytest.mark.slow
def test_a_missing_first_checkpoint_means_training_from_the_start(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    write_study(workspace)
    for step in (5, 13):
        shutil.rmtree(checkpoint_of(workspace, finished_run[1], step))
    entry, stderr = run(workspace)
    assert stderr.count("is not here any more") == 2
    assert trained_steps(workspace, entry) == list(range(15))
    assert all(one["reused_from"] is None for one in entry["stages"])


@pytest.mark.slow
def test_a_checkpoint_of_other_weights_is_not_taken_over(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    # A whole checkpoint, of other weights, moved to where the right one was.
    run_workspace.write_run_spec(workspace, name="other", seed=18)
    other, _ = run(workspace)
    write_study(workspace)
    mine = checkpoint_of(workspace, finished_run[1], 13)
    shutil.rmtree(mine)
    theirs = workspace / ".codemix" / "runs" / other["identity"][:16]
    shutil.copytree(theirs / "checkpoints" / "00000013", mine)
    entry, stderr = run(workspace)
    assert "the checkpoint is not the one that was recorded" in stderr
    assert trained_steps(workspace, entry) == list(range(5, 15))


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "journal.jsonl",
        "checkpoints/00000014",
        "checkpoints/00000014/manifest.json",
        "checkpoints/00000015",
    ],
)
def test_a_run_killed_after_it_began_with_reuse_ends_as_if_it_was_not(
    workspace: Path, moment: str, tmp_path: Path
) -> None:
    write_study(workspace, checkpoints={"every_steps": 1, "keep_last": 9})
    straight = tmp_path / "straight"
    shutil.copytree(workspace, straight, symlinks=True)
    expected, _ = run(straight)
    mine = workspace / ".codemix" / "runs" / expected["identity"][:16]
    process = start(workspace, "run", "specs/small.yaml")
    wait_for(mine, moment, process)
    kill(process)
    entry, _ = run(workspace)
    assert trained_steps(workspace, entry) == [13, 14]
    assert evidence(entry) == evidence(expected)
    again = [one["reused_from"] for one in entry["stages"]]
    assert again == [one["reused_from"] for one in expected["stages"]]


@pytest.mark.slow
def test_other_evals_are_scored_from_the_checkpoints_alone(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    question = {"prompt": "the a of", "choices": [" model", " data"], "answer": 0}
    path = workspace / "evals" / "small.jsonl"
    path.parent.mkdir()
    path.write_text(f"{json.dumps(question)}\n" * 3)
    choices = {"suite": "choices", "file": "evals/small.jsonl"}
    evals = [{"suite": "heldout"}, choices]
    run_workspace.write_run_spec(
        workspace, name="scored", evals=evals, logging={"every_steps": 4}
    )
    codemix(workspace, "pin", "specs/small.yaml")
    entry, _ = run(workspace)
    assert trained_steps(workspace, entry) == []
    assert [one["reused_from"] for one in entry["stages"]] == [finished_run[1]] * 3
    scored = [(one["step"], one["suite"]) for one in entry["scores"]]
    ends = [(n, suite) for n in (5, 13, 16) for suite in ("choices.small", "heldout")]
    assert scored == [(0, "baselines"), *ends]
    # The held-out losses within stages and the other metrics are not asked for here.
    original = entry_of(*finished_run)
    was = [one for one in original["scores"] if one["step"] in (5, 13, 16)]
    assert [one for one in entry["scores"] if one["suite"] == "heldout"] == was
    code, verdict, _ = codemix(workspace, "reproduce", "scored")
    assert (code, verdict["grade"]) == (0, "EXACT")
    assert verdict["compared"]["scores"] == {"same": 6, "total": 6}
    assert verdict["compared"]["metrics"] == {"same": 4, "total": 4}


@pytest.mark.slow
def test_a_new_run_that_shall_stop_within_reused_stages_trains_nothing_yet(
    workspace: Path,
) -> None:
    write_study(workspace)
    code, told, stderr = codemix(
        workspace, "run", "specs/small.yaml", "--stop-after", "5"
    )
    assert (code, told["entry"]) == (0, None), stderr
    code, told, _ = codemix(workspace, "run", "specs/small.yaml", "--no-reuse")
    assert code == 4
    assert "began with stages that were taken over" in told["problems"][0]["what"]
    entry, _ = run(workspace)
    assert trained_steps(workspace, entry) == [13, 14]


@pytest.mark.slow
def test_what_a_run_began_with_must_be_there_when_it_goes_on(
    finished_run: tuple[Path, str], workspace: Path
) -> None:
    write_study(workspace)
    codemix(workspace, "run", "specs/small.yaml", "--stop-after", "5")
    shutil.rmtree(checkpoint_of(workspace, finished_run[1], 13))
    code, told, _ = codemix(workspace, "run", "specs/small.yaml")
    assert code == 4
    assert "are not here any more" in told["problems"][0]["what"]


@pytest.mark.slow
def test_two_processes_take_stages_over_together(
    finished_run: tuple[Path, str], workspace: Path, tmp_path: Path
) -> None:
    write_study(workspace, evals=[])
    job = Job(workspace, tmp_path / "logs", *run_arguments(2))
    assert job.wait() == [0, 0], job.said(0)
    assert "is taken over" in job.said(0)
    assert "is taken over" not in job.said(1)
    entries = workspace / ".codemix" / "ledger" / "entries"
    found = [entry_of(workspace, path.stem) for path in entries.glob("*.json")]
    (entry,) = [one for one in found if one["name"] == "study"]
    assert trained_steps(workspace, entry) == [13, 14]
    original = entry_of(*finished_run)
    assert evidence(entry)["stages"][:2] == evidence(original)["stages"][:2]
