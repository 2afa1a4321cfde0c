"""What the ledger costs beside the plain way: `python bench/ledger.py`.

delivery   metrics per second into MLflow, into a SQLite file and through a real server
           on this machine: by our delivery, by `log_batch`, by a loop of `log_metric`
hashing    GB per second of the object store and of `hash_file`, beside hashlib alone
many       `list`, `verify` and an append, in a ledger of so many entries of real size

What is compared is measured in turns in one run, and the median counts; ratios mean
something on a busy machine, single numbers less.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import ledger_runs  # noqa: E402
from ledger_large import in_turns, many  # noqa: E402

from ledger.deliver_run import RunDelivery  # noqa: E402
from ledger.mlflow_index import MlflowIndex  # noqa: E402
from ledger.objects import ObjectStore  # noqa: E402
from ledger.recorder import StepRecord  # noqa: E402
from ledger.run_recorder import RunRecorder  # noqa: E402
from ledger.store import Ledger  # noqa: E402
from ledger.ui import open_ui  # noqa: E402
from runtime.hashing import hash_file  # noqa: E402

NUM_METRICS = 20
"""Per step."""

Facts = dict[str, Any]


def main() -> None:
    """Measure what is asked for, and print tables or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["delivery", "hashing", "many"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: Facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "delivery" in options.only:
            found["delivery"] = delivery(folder, options.steps, options.rounds)
        if "hashing" in options.only:
            found["hashing"] = hashing(folder, options.rounds)
        if "many" in options.only:
            found["many"] = many(folder, options.entries, options.rounds)
    print(json.dumps(found, sort_keys=True) if options.json else told(found))


def delivery(folder: Path, num_steps: int, num_rounds: int) -> Facts:
    """Measure metrics per second into both kinds of store, three ways each."""
    found = {}
    workspace = folder / "delivery"
    (workspace / ".codemix").mkdir(parents=True)
    sqlite = f"sqlite:///{workspace / '.codemix' / 'mlflow.db'}"
    MlflowIndex(sqlite, artifacts=workspace)  # Makes the tables.
    found["sqlite"] = three_ways(workspace / "sqlite", sqlite, num_steps, num_rounds)
    with open_ui(workspace) as server:
        found["server"] = three_ways(
            workspace / "server", server.url, num_steps, num_rounds
        )
    return found


def three_ways(folder: Path, uri: str, num_steps: int, num_rounds: int) -> Facts:
    """Bring the same metrics to one store in turns; return metrics per second."""
    seconds: dict[str, list[float]] = {"ours": [], "log_batch": [], "log_metric": []}
    # A loop of single calls takes long; its pace does not change with the count.
    few = max(1, num_steps // 25)
    for number in range(num_rounds):
        workspace = folder / str(number)
        journal = record(workspace, num_steps)
        seconds["ours"].append(time_ours(workspace, journal, uri) / num_steps)
        seconds["log_batch"].append(time_batches(uri, num_steps) / num_steps)
        seconds["log_metric"].append(time_loop(uri, few) / few)
    return {
        name: NUM_METRICS / statistics.median(times) for name, times in seconds.items()
    }


def record(workspace: Path, num_steps: int) -> Path:
    """Write the journal of a run of so many steps, and no end."""
    folder = workspace / ".codemix" / "runs" / "a"
    recorder = RunRecorder(Ledger.open(workspace), folder)
    recorder.begin(ledger_runs.facts())
    recorder.stage_begin("balanced", 0)
    for step in range(num_steps):
        recorder.step(
            StepRecord(
                step=step,
                batch=ledger_runs.hex_of(step, digits=32),
                weights=ledger_runs.hex_of(step, digits=32),
                metrics=numbers(step),
            )
        )
    recorder.close()
    return folder / "journal.jsonl"


def numbers(step: int) -> dict[str, float]:
    """Return what is logged at one step."""
    return {f"metric_{index}": 1 / (step + index + 1) for index in range(NUM_METRICS)}


def time_ours(workspace: Path, journal: Path, uri: str) -> float:
    """Time our delivery, from a journal on disk to MLflow, its notes included."""
    index = MlflowIndex(uri, artifacts=workspace)
    going = RunDelivery(journal, uri, index, Ledger.open(workspace))
    started = time.perf_counter()
    while going.advance():
        pass
    return time.perf_counter() - started


def time_batches(uri: str, num_steps: int) -> float:
    """Time `log_batch` with as many metrics as it takes."""
    from mlflow.entities import Metric

    client, run_id = plain_run(uri)
    unix_ms = time.time_ns() // 10**6
    started = time.perf_counter()
    points = [
        Metric(name, value, unix_ms, step)
        for step in range(num_steps)
        for name, value in numbers(step).items()
    ]
    for first in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[first : first + 1000])
    return time.perf_counter() - started


def time_loop(uri: str, num_steps: int) -> float:
    """Time a loop of `log_metric`, as scripts have it."""
    client, run_id = plain_run(uri)
    started = time.perf_counter()
    for step in range(num_steps):
        for name, value in numbers(step).items():
            client.log_metric(run_id, name, value, step=step)
    return time.perf_counter() - started


def plain_run(uri: str) -> tuple[Any, str]:
    """Make an MLflow run without any of our code."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return client, client.create_run("0").info.run_id


def hashing(folder: Path, num_rounds: int, num_bytes: int = 256 << 20) -> Facts:
    """Measure GB per second of bytes in memory and of a file that is in the cache."""
    data = os.urandom(1 << 20) * (num_bytes >> 20)
    path = folder / "file"
    path.write_bytes(data)
    store = ObjectStore(folder / "objects")
    ref = store.put(data)

    def plain_file() -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    ways: dict[str, Callable[[], object]] = {
        "hashlib, memory": lambda: hashlib.sha256(data).digest(),
        "objects.get": lambda: store.get(ref),
        "objects.put, there already": lambda: store.put(data),
        "objects.put, new": lambda: (store.path(ref.sha256).unlink(), store.put(data)),
        "hashlib, file": plain_file,
        "hash_file": lambda: hash_file(path, with_md5=False),
    }
    times = in_turns(ways, num_rounds)
    return {name: num_bytes / 1e9 / statistics.median(times[name]) for name in ways}


def told(found: Facts) -> str:
    """Write what was found as tables."""
    lines = [f"{found['date']}, {found['machine']}, load {found['load']:.1f}"]
    for store, paces in found.get("delivery", {}).items():
        lines += ["", f"metrics per second, {store}", *beside(paces, "log_batch")]
    if "hashing" in found:
        paces = found["hashing"]
        lines += ["", "GB per second", *beside(paces, "hashlib, memory", digits=2)]
    if "many" in found:
        many = dict(found["many"])
        count, size = many.pop("entries"), many.pop("entry_bytes")
        lines += ["", f"seconds, {count:,} entries of {size:,} bytes"]
        lines += [f"{name:28}{seconds:9.3f}" for name, seconds in many.items()]
    return "\n".join(lines)


def beside(paces: dict[str, float], usual: str, digits: int = 0) -> Sequence[str]:
    """Write paces, each with its ratio to the usual one."""
    return [
        f"{name:28}{pace:12,.{digits}f}{pace / paces[usual]:9.2f} x"
        for name, pace in paces.items()
    ]


if __name__ == "__main__":
    main()
