"""What recording costs a training step: `python bench/recording.py`.

A step's surrogate is float arithmetic that keeps one core busy for about 0.3 s. Between
two of them stands the call that training makes: one step record with 20 metrics. The
time of the calls is compared with the time of the steps, and the steps themselves with
steps of a run that records nothing, so that work in other threads and in the process
that delivers to MLflow is counted too. Processor time of the calls stands beside, for
machines that do other things meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ledger_runs import facts, hex_of  # noqa: E402

from ledger.delivery import Delivery, tracking_uri  # noqa: E402
from ledger.recorder import (  # noqa: E402
    NullRecorder,
    Outcome,
    Recorder,
    StepRecord,
)
from ledger.run_recorder import RunRecorder  # noqa: E402
from ledger.store import Ledger  # noqa: E402
from runtime.fingerprint import words_hex  # noqa: E402

NUM_METRICS = 20
WORDS = np.arange(10, dtype=np.uint32)
"""As many as a model has tensors, whatever its number of layers."""
WIDTH = 384


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    products = products_per_step()
    print(f"{os.cpu_count()} cores, {NUM_METRICS} metrics per step")
    print("            step ms  call us  p99 us  cpu us  call/step  cpu/step")
    for name, deliver in (("nothing", None), ("journal", False), ("+ MLflow", True)):
        times = Times([], [], [])
        for _ in range(options.rounds):
            measure(times, deliver, options.steps, products)
        show(name, times)


class Times(NamedTuple):
    """Seconds, one number per step."""

    steps: list[float]
    calls: list[float]
    cpu: list[float]


def measure(times: Times, deliver: bool | None, num_steps: int, products: int) -> None:
    """Time the steps of one run."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        recorder = make_recorder(deliver, workspace)
        recorder.begin(facts())
        recorder.stage_begin("balanced", 0)
        if deliver:
            # Loading MLflow and making its tables is no cost of a step; it takes
            # place once, at low priority.
            wait_for_first_delivery(workspace)
        for step in range(num_steps):
            started = time.perf_counter()
            train_step(products)
            trained, cpu = time.perf_counter(), time.thread_time()
            recorder.step(record(step))
            times.cpu.append(time.thread_time() - cpu)
            times.calls.append(time.perf_counter() - trained)
            times.steps.append(trained - started)
        recorder.finish(Outcome(status="interrupted", reason="benchmark"))


def make_recorder(deliver: bool | None, workspace: Path) -> Recorder:
    """Build the recorder to measure; null: one that forgets."""
    if deliver is None:
        return NullRecorder()
    folder = workspace / ".codemix" / "runs" / "a"
    uri = tracking_uri(workspace)
    delivery = Delivery(workspace, folder, uri) if deliver else None
    return RunRecorder(Ledger.open(workspace), folder, delivery=delivery)


def wait_for_first_delivery(workspace: Path) -> None:
    """Wait until something has arrived in MLflow."""
    while not list(workspace.glob(".codemix/runs/a/delivery-*.json")):
        time.sleep(0.1)


def record(step: int) -> StepRecord:
    """Build what training reports, as it does: the building is part of the cost."""
    return StepRecord(
        step=step,
        batch=hex_of(step, digits=32),
        weights=hex_of(step, digits=32),
        tensor_words=words_hex(WORDS + np.uint32(step)),
        metrics={f"metric_{index}": 1 / (step + index + 1) for index in range(18)},
        timings={"tokens_per_second": 1e5 / (step + 1), "step_seconds": 0.3},
    )


def products_per_step() -> int:
    """Find how many matrix products make a step of about 0.3 s."""
    train_step(20)
    started = time.perf_counter()
    train_step(100)
    return max(1, round(0.3 / ((time.perf_counter() - started) / 100)))


def train_step(products: int) -> None:
    """Do float arithmetic for a while."""
    matrix = np.ones((WIDTH, WIDTH), np.float32) / WIDTH
    for _ in range(products):
        matrix = matrix @ matrix


def show(name: str, times: Times) -> None:
    """Print one line of the table."""
    step, call, cpu = map(statistics.median, times)
    worst = statistics.quantiles(times.calls, n=100)[98]
    print(
        f"{name:10}{step * 1e3:9.1f}{call * 1e6:9.0f}{worst * 1e6:8.0f}"
        f"{cpu * 1e6:8.0f}{sum(times.calls) / sum(times.steps):11.3%}"
        f"{sum(times.cpu) / sum(times.steps):10.3%}"
    )


if __name__ == "__main__":
    main()
