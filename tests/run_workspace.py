"""A tiny workspace that `codemix run` works in, and processes that work in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import data_workspace
from conftest import ROOT

MAIN = (
    "import sys; sys.argv[0] = 'codemix'; "
    "from codemix_cli.main import cli; cli(prog_name='codemix')"
)


def stage(
    name: str, tokens: int, rate: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    """Make a stage of two sources."""
    shares = {"prose": 3, "code": 1}
    return {
        "name": name,
        "tokens": tokens,
        "mixture": shares,
        "learning_rate": rate,
        **fields,
    }


STAGES = [
    stage(
        "balanced",
        1280,
        {"schedule": "cosine", "warmup_steps": 1, "peak": 0.01, "final": 0.005},
        mixture={"prose": 1, "code": 1},
    ),
    stage(
        "text",
        1024,
        {"schedule": "constant", "peak": "previous"},
        optimizer="keep",
        batch={"sequences": 8, "length": 16, "lane": 1, "accumulation": 2},
    ),
    stage(
        "cooldown",
        768,
        {"schedule": "linear", "peak": "previous", "final": 1e-06},
        optimizer="reset",
    ),
]
"""5, 8 and 3 steps: two shapes of batch, a kept and a reset optimizer."""

NUM_STEPS = 16


def make_run_workspace(folder: Path, **changes: Any) -> Path:
    """Make a workspace with data and a spec of three stages; return the spec."""
    data_workspace.make_workspace(folder)
    prose = data_workspace.sentences(120, seed=1)
    code = data_workspace.sentences(90, seed=2, num_words=25)
    data_workspace.write_lines(folder / "data" / "prose.jsonl", prose)
    data_workspace.write_lines(folder / "data" / "code.jsonl", code)
    return write_run_spec(folder, **changes)


def write_run_spec(folder: Path, **changes: Any) -> Path:
    """Write the spec of such a workspace."""
    sources = {
        "prose": {"uri": "data/prose.jsonl", "holdout": "10%"},
        "code": {"uri": "data/code.jsonl", "holdout": "5%"},
    }
    fields: dict[str, Any] = {
        "name": "small",
        "batch": {"sequences": 8, "length": 32, "lane": 1},
        "stages": STAGES,
        "evals": [{"suite": "heldout"}],
        "checkpoints": {"every_steps": 3, "keep_last": 2},
        "logging": {"heldout_every_steps": 6},
    }
    return data_workspace.write_spec(folder, sources, **{**fields, **changes})


def copy_workspace(source: Path, target: Path) -> Path:
    """Copy a workspace; return the copy's spec."""
    shutil.copytree(source, target, symlinks=True)
    data_workspace.isolate(target)
    return target / "specs" / "small.yaml"


def fresh_copy(straight: Path, target: Path) -> Path:
    """Copy a workspace without what its run left; token stores stay."""
    copy_workspace(straight, target)
    for name in ("runs", "ledger", "mlartifacts"):
        shutil.rmtree(target / ".codemix" / name, ignore_errors=True)
    (target / ".codemix" / "mlflow.db").unlink(missing_ok=True)
    return target


def environment(num_devices: int | None = None) -> dict[str, str]:
    """Make the environment of a codemix process."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    found.pop("XLA_FLAGS", None)
    if num_devices is not None:
        flag = f"--xla_force_host_platform_device_count={num_devices}"
        found["XLA_FLAGS"] = flag
    return found


def command(*arguments: str) -> list[str]:
    """Return the argument vector of a codemix command."""
    return [sys.executable, "-c", MAIN, *arguments]


def codemix(
    workspace: Path, *arguments: str, num_devices: int | None = None
) -> tuple[int, dict[str, Any], str]:
    """Run a command with `--json`; return exit code, object and stderr."""
    done = subprocess.run(
        command(*arguments, "--json"),
        cwd=workspace,
        env=environment(num_devices),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def entry_of(workspace: Path, digest: str) -> dict[str, Any]:
    """Read an entry as anybody can: from its file."""
    path = workspace / ".codemix" / "ledger" / "entries" / f"{digest}.json"
    entry: dict[str, Any] = json.loads(path.read_text())
    return entry


def evidence(entry: dict[str, Any]) -> dict[str, Any]:
    """Return all of an entry that a rebuilt run must have in common with it."""
    return {
        "stages": [
            {
                key: one[key]
                for key in ("identity", "weights_digest", "trace", "metrics")
            }
            for one in entry["stages"]
        ],
        "checkpoints": entry["checkpoints"],
        "scores": [
            {key: one[key] for key in ("step", "suite", "values", "detail")}
            for one in entry["scores"]
        ],
    }


def assert_rebuilt(entry: dict[str, Any], straight: dict[str, Any]) -> None:
    """Check a run that was stopped and resumed against one that was not.

    Where it was stopped on purpose it has a checkpoint more.
    """
    ours, expected = evidence(entry), evidence(straight)
    steps = {one["step"] for one in expected["checkpoints"]}
    kept = [one for one in ours["checkpoints"] if one["step"] in steps]
    assert {**ours, "checkpoints": kept} == expected
