"""SIGKILL at any moment of a run: the same command again comes to the same weights."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from run_workspace import (
    assert_rebuilt,
    codemix,
    command,
    entry_of,
    environment,
    fresh_copy,
)


@pytest.fixture
def straight(finished_run: tuple[Path, str]) -> tuple[Path, dict[str, Any]]:
    """A workspace with an uninterrupted run, and the run's entry."""
    folder, digest = finished_run
    return folder, entry_of(folder, digest)


def start(workspace: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a codemix command in a process group of its own."""
    return subprocess.Popen(
        command(*arguments),
        cwd=workspace,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, without a word of warning."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(path: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a path appears, or the process ends."""
    deadline = time.monotonic() + 300
    while not any(path.glob(pattern)) and process.poll() is None:
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.002)


def finish(workspace: Path, straight: dict[str, Any]) -> dict[str, Any]:
    """Run to the end and compare with the straight run; return the entry."""
    code, told, stderr = codemix(workspace, "run", "specs/small.yaml")
    assert code == 0, stderr
    entry = entry_of(workspace, told["entry"])
    assert (
        entry["stages"][-1]["weights_digest"]
        == (straight["stages"][-1]["weights_digest"])
    )
    assert_rebuilt(entry, straight)
    return entry


# What appears at the moment: within a checkpoint (its folder is there, its manifest is
# not), right after one, at the end of a stage, within the scores of the last.
MOMENTS = {
    "within the first checkpoint": "checkpoints/00000003",
    "after a checkpoint within a stage": "checkpoints/00000009/manifest.json",
}


@pytest.mark.e2e
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=list(MOMENTS))
def test_a_run_killed_at_a_chosen_moment_ends_as_if_it_was_not(
    straight: tuple[Path, dict[str, Any]], tmp_path: Path, moment: str
) -> None:
    folder = fresh_copy(straight[0], tmp_path / "killed")
    process = start(folder, "run", "specs/small.yaml")
    wait_for(folder / ".codemix" / "runs", f"*/{moment}", process)
    kill(process)
    finish(folder, straight[1])


@pytest.mark.e2e
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(
    straight: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = fresh_copy(straight[0], tmp_path / "stopped")
    process = start(folder, "run", "specs/small.yaml")
    checkpoint = "*/checkpoints/00000003/manifest.json"
    wait_for(folder / ".codemix" / "runs", checkpoint, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=200) == 75
    entry = finish(folder, straight[1])
    assert entry["seams"], "the run went on in another process"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_a_run_killed_at_a_random_moment_ends_as_if_it_was_not(
    straight: tuple[Path, dict[str, Any]], tmp_path: Path, number: int, seed: int
) -> None:
    moment = random.Random(seed + number)
    folder = fresh_copy(straight[0], tmp_path / "killed")
    if number % 4 == 0:
        # From the very start: pin and prepare are killed too.
        shutil.rmtree(folder / ".codemix")
        (folder / "specs" / "small.lock").unlink()
    for _ in range(2):
        process = start(folder, "run", "specs/small.yaml")
        if number % 4:
            wait_for(folder / ".codemix" / "runs", "*/journal.jsonl", process)
            time.sleep(moment.uniform(0, 12))
        else:
            time.sleep(moment.uniform(0, 40))
        kill(process)
    finish(folder, straight[1])
