"""A made-up run of many steps with many numbers, told to a recorder at full speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ledger_runs import facts, hex_of, tensors

from ledger.recorder import COMPLETED, Outcome, Recorder, RunFacts, StepRecord

CHECKPOINT_EVERY = 100
_SPECIAL = {3: float("nan"), 5: float("inf"), 7: float("-inf"), 9: -0.0, 11: 5e-324}


def long_record(step: int, num_metrics: int = 20) -> StepRecord:
    values = {f"metric/{n}": (step + 1) / (n + 3) for n in range(num_metrics)}
    values["odd"] = _SPECIAL.get(step % 13, 0.1 * step)
    return StepRecord(
        step=step,
        batch=hex_of("batch", step, digits=32),
        weights=hex_of("weights", step, digits=32),
        metrics=values,
        timings={"tokens_per_second": 1000.0 + step},
    )


def play_long(
    recorder: Recorder,
    *,
    num_steps: int,
    start: int = 0,
    before_step: Callable[[int], None] = lambda step: None,
    run_facts: RunFacts | None = None,
    outcome: Outcome | None = COMPLETED,
) -> tuple[list[float], Any]:
    """Tell a run; return the seconds of each call of `step`, and the entry."""
    seconds = []
    recorder.begin(run_facts or facts(start or None))
    recorder.stage_begin("balanced", 0)
    for step in range(start, num_steps):
        before_step(step)
        record = long_record(step)
        before = time.perf_counter()
        recorder.step(record)
        seconds.append(time.perf_counter() - before)
        if (step + 1) % CHECKPOINT_EVERY == 0:
            recorder.checkpoint(step + 1, tensors(step + 1))
    if outcome is None:
        return seconds, None
    if outcome is COMPLETED:
        recorder.stage_end(
            "balanced",
            num_steps,
            identity=hex_of("identity", "balanced"),
            weights_digest=hex_of("weights", num_steps),
        )
    return seconds, recorder.finish(outcome)
