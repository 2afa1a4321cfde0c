"""A tiny study in a workspace: four experiments that share stages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from run_workspace import (
    STAGES,
    codemix,
    command,
    copy_workspace,
    entry_of,
    environment,
    make_run_workspace,
    stage,
)

from ledger.journal import read_journal

FIRST, SECOND, THIRD = STAGES
"""5, 8 and 3 steps."""

OTHER_END = stage(
    "other_end",
    512,
    {"schedule": "linear", "peak": 0.002, "final": 1e-06},
    optimizer="reset",
)
"""2 steps."""

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "alpha": {},
    "beta": {"stages": [{**FIRST, "name": "a"}, {**SECOND, "name": "b"}, OTHER_END]},
    "gamma": {"stages": [FIRST, OTHER_END]},
    "delta": {"stages": [FIRST], "seed": 18, "checkpoints": {"every_steps": 1}},
}

UNIQUE_STEPS = 5 + 8 + 3 + 2 + 2 + 5


def make_study(folder: Path) -> None:
    """Make a workspace with the study in its folder `study`."""
    base = json.loads(make_run_workspace(folder).read_text())
    (folder / "study").mkdir()
    for name, changes in EXPERIMENTS.items():
        add_experiment(folder, name, base, **changes)


def add_experiment(
    folder: Path, name: str, base: dict[str, Any] | None = None, **changes: Any
) -> None:
    """Write a spec of the study."""
    if base is None:
        base = json.loads((folder / "specs" / "small.yaml").read_text())
    text = json.dumps({**base, "name": name, **changes}, indent=1)
    (folder / "study" / f"{name}.yaml").write_text(text)


def fresh_study(done: Path, target: Path) -> Path:
    """Copy a workspace without what its runs left; what is prepared stays."""
    copy_workspace(done, target)
    for name in ("runs", "ledger", "mlartifacts"):
        shutil.rmtree(target / ".codemix" / name, ignore_errors=True)
    (target / ".codemix" / "mlflow.db").unlink(missing_ok=True)
    studies = target / ".codemix" / "studies" / "study"
    shutil.rmtree(studies / "logs", ignore_errors=True)
    (studies / "journal.jsonl").unlink(missing_ok=True)
    return target


def run_study(folder: Path, *options: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the study; return what it told, and stderr."""
    found, told, stderr = codemix(folder, "study", "study", *options)
    assert found == code, (told, stderr)
    return told, stderr


def entries_of(folder: Path, told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the entries that a study came to, by name."""
    found = {one["name"]: one["entry"] for one in told["experiments"]}
    return {name: entry_of(folder, digest) for name, digest in found.items() if digest}


def trained_steps(folder: Path) -> int:
    """Count the steps that all runs of a workspace were trained for, by their journals.

    A step that was trained once more after a kill is compared there and adds no line.
    """
    journals = (folder / ".codemix" / "runs").glob("*/journal.jsonl")
    lines = [line for path in journals for line in read_journal(path)]
    return sum(line.event["kind"] == "step" for line in lines)


def wait_for_steps(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until runs have been trained for so many steps, or the study ends."""
    deadline = time.monotonic() + 600
    while trained_steps(folder) < count and process.poll() is None:
        assert time.monotonic() < deadline, f"step {count} never came"
        time.sleep(0.01)


def start_study(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the study in a process group of its own."""
    return subprocess.Popen(
        command("study", "study", *options),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_study(
    folder: Path, process: subprocess.Popen[bytes], *, with_jobs: bool
) -> None:
    """End a study without a word, and its jobs likewise or not."""
    process.kill()
    process.wait()
    journal = folder / ".codemix" / "studies" / "study" / "journal.jsonl"
    if not with_jobs or not journal.exists():
        return
    for line in journal.read_text().splitlines():
        pid = json.loads(line)["pid"]
        if pid is not None:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
