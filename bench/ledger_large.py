"""A made-up ledger of many entries of real size, and how long commands take in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import ledger_runs  # noqa: E402

from ledger.entry import Entry  # noqa: E402
from ledger.facts import Distribution  # noqa: E402
from ledger.log import read_raw_lines  # noqa: E402
from ledger.run_recorder import RunRecorder  # noqa: E402
from ledger.store import FIRST_LINK, Ledger  # noqa: E402
from specs.canonical import canonical_json  # noqa: E402

NUM_DISTRIBUTIONS = 450
"""As in the environment that codemix is developed in."""

COMPLETING = {
    "_CODEMIX_COMPLETE": "bash_complete",
    "COMP_WORDS": "codemix ledger show run-77",
    "COMP_CWORD": "3",
}
"""What a shell asks when the tab key is pressed."""

Facts = dict[str, Any]


def many(folder: Path, num_entries: int, num_rounds: int) -> Facts:
    """Measure commands as processes, and an append, in a large ledger."""
    workspace = folder / "many"
    entry, entry_bytes = fill(workspace, num_entries)
    ledger = Ledger.open(workspace)
    where = ["--where", "spec.seed = 17", "--where", "loss < 2", "--limit", "5"]
    found: Facts = {"entries": num_entries, "entry_bytes": entry_bytes}
    found["list, first time"] = command(workspace, "ledger", "list", "--limit", "5")
    ways: dict[str, Callable[[], object]] = {
        "python -c pass": lambda: subprocess.run([sys.executable, "-c", ""]),
        "list": lambda: command(workspace, "ledger", "list"),
        "list --where": lambda: command(workspace, "ledger", "list", *where),
        "list --name": lambda: command(workspace, "ledger", "list", "--name", "*7777"),
        "show": lambda: command(workspace, "ledger", "show", "run-77"),
        "complete": lambda: command(workspace, **COMPLETING),
        "append": lambda: ledger.append(
            entry.model_copy(update={"name": f"new-{time.time_ns()}"})
        ),
        "list, one new": lambda: command(workspace, "ledger", "list"),
    }
    times = in_turns(ways, num_rounds)
    found |= {name: statistics.median(times[name]) for name in ways}
    found["verify"] = command(workspace, "ledger", "verify")
    return found


def fill(workspace: Path, num_entries: int) -> tuple[Entry, int]:
    """Make a ledger of runs that hold as many distributions as a real one."""
    ledger = Ledger.open(workspace)
    (workspace / ".dvc").mkdir(parents=True)
    entry = ledger_runs.play(RunRecorder(ledger, workspace / "run"))
    shutil.rmtree(ledger.folder / "entries")
    ledger.log_path.unlink()
    environment = entry.environment.model_copy(
        update={
            "distributions": {
                f"distribution-{number}": Distribution(
                    version="1.2.3", files_sha256=ledger_runs.hex_of(number)
                )
                for number in range(450)
            }
        }
    )
    entry = entry.model_copy(update={"environment": environment})
    document, link, lines = entry.to_json(), FIRST_LINK, []
    (ledger.folder / "entries").mkdir(parents=True)
    for number in range(num_entries):
        document["name"] = f"run-{number}"
        document["recording"] = ledger_runs.hex_of(number, digits=32)
        document["spec"]["seed"] = number % 97
        data = canonical_json(document)
        digest = hashlib.sha256(data).hexdigest()
        ledger.entry_path(digest).write_bytes(data)
        line = {
            "entry": digest,
            "kind": "run",
            "name": document["name"],
            "prev": link,
            "unix_ms": 1_700_000_000_000 + number,
        }
        lines.append(canonical_json(line))
        link = hashlib.sha256(lines[-1]).hexdigest()
    ledger.log_path.write_bytes(b"".join(line + b"\n" for line in lines))
    assert len(read_raw_lines(ledger.folder)) == num_entries
    return entry, len(data)


def command(workspace: Path, *arguments: str, **variables: str) -> float:
    """Run codemix as a process; return its seconds."""
    script = "from codemix_cli.main import cli; cli(prog_name='codemix')"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def in_turns(
    ways: dict[str, Callable[[], object]], num_rounds: int
) -> dict[str, list[float]]:
    """Time each way once per round; return seconds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(num_rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started)
    return times
