"""A made-up run of two stages, told to any recorder: no model, no jax, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from ledger.facts import CodeFacts, Cpu, Distribution, EnvironmentFacts
from ledger.recorder import (
    COMPLETED,
    Outcome,
    Recorder,
    RunFacts,
    StepRecord,
    TensorFacts,
)
from specs.experiment import Experiment
from specs.lock import Lock, LockedFile, LockedInput
from specs.resolve import plan_experiment

STAGES = (("balanced", 0, 8), ("text", 8, 12))
NUM_STEPS = 12
CHECKPOINT_EVERY = 4

SPEC = {
    "codemix": 1,
    "name": "made-up",
    "seed": 17,
    "model": {"layers": 1, "width": 8, "heads": 2, "ffn_width": 16},
    "tokenizer": {"vocab_size": 300, "file": "tokenizer.model"},
    "sources": {"text": {"uri": "data/*.txt", "max_epochs": 100}},
    "batch": {"sequences": 8, "length": 16},
    "stages": [
        {
            "name": name,
            "tokens": (stop - start) * 8 * 16,
            "mixture": {"text": 1},
            "learning_rate": {"schedule": "constant", "peak": 0.001},
            **({"optimizer": "keep"} if start else {}),
        }
        for name, start, stop in STAGES
    ],
}

Change = Callable[[str, int, Any], Any]
"""Kind of call, step and value -> the value to report instead."""


def hex_of(*parts: object, digits: int = 64) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:digits]


@cache
def facts(resumed_from: int | None = None, **changes: Any) -> RunFacts:
    determinism = changes.pop("determinism", "exact")
    spec = {**SPEC, "determinism": determinism, **changes.pop("spec", {})}
    experiment = Experiment.model_validate(spec)
    fields = {
        "identity": hex_of("identity"),
        "experiment": experiment,
        "raw_spec": "codemix: 1\n# as its author wrote it\n",
        "plan": plan_experiment(experiment),
        "lock": lock(),
        "code": code(),
        "environment": environment(),
        "devices": {"kind": "cpu", "count": 2},
        "numerics": "1",
        "canary": hex_of("canary"),
        "resumed_from": resumed_from,
    }
    return RunFacts(**{**fields, **changes})


def lock(content: str = "text") -> Lock:
    file = LockedFile(path="data/a.txt", sha256=hex_of(content), bytes=9, documents=1)
    locked = LockedInput(uri="data/*.txt", dvc="a.dvc", dvc_hash="md5:0", files=(file,))
    return Lock(lock=1, codemix="0.1.0", inputs={"sources.text": locked})


def code(**changes: Any) -> CodeFacts:
    fields = {
        "codemix": "0.1.0",
        "packages": {"runtime": hex_of("runtime")},
        "repository": None,
        "workspace": None,
    }
    return CodeFacts(**{**fields, **changes})


def environment(jaxlib: str = "0.10.2", **changes: Any) -> EnvironmentFacts:
    fields = {
        "distributions": {
            "jaxlib": Distribution(version=jaxlib, files_sha256=None),
            "rich": Distribution(version="14.0", files_sha256=None),
        },
        "python": "CPython 3.11.2",
        "python_build": "main",
        "system": "Linux",
        "kernel": "6.1",
        "libc": "glibc 2.36",
        "cpu": Cpu(
            architecture="x86_64",
            model="a",
            features=("avx2",),
            num_cores=2,
            num_usable_cores=2,
        ),
        "variables": {},
    }
    return EnvironmentFacts(**{**fields, **changes})


def record(step: int, salt: str = "") -> StepRecord:
    logged = step % 2 == 0
    special = {0: float("nan"), 2: float("inf"), 4: -0.0, 6: 5e-324}
    return StepRecord(
        step=step,
        batch=hex_of("batch", step, digits=32),
        weights=hex_of("weights", step, salt, digits=32),
        metrics={"loss": 4.0 / (step + 3), "odd": special.get(step, 0.1 + 0.2)}
        if logged
        else None,
        timings={"tokens_per_second": 1000.0 + step} if logged else None,
    )


def tensors(step: int) -> dict[str, TensorFacts]:
    return {
        name: TensorFacts(sha256=hex_of(name, step), shape=(4, 2), dtype="float32")
        for name in ("weights/embedding", "optimizer/mu/embedding")
    }


def play(
    recorder: Recorder,
    *,
    start: int = 0,
    stop: int = NUM_STEPS,
    change: Change = lambda kind, step, value: value,
    run_facts: RunFacts | None = None,
    outcome: Outcome | None = COMPLETED,
    before_step: Callable[[int], None] = lambda step: None,
) -> Any:
    """Tell a recorder the steps from `start` to `stop`; finish if there is an outcome.

    Args:
        recorder: Listens.
        start: First step; more than 0 is a resumed run.
        stop: One past the last step.
        change: Applied to everything that is reported.
        run_facts: Told at the beginning instead of the usual ones.
        outcome: How it ends; null: it just stops.
        before_step: Called before each step.
    """
    recorder.begin(run_facts or facts(start or None))
    if start:
        recorder.checkpoint(start, change("checkpoint", start, tensors(start)))
    for name, first, end in STAGES:
        if end < start or first >= stop:
            continue
        recorder.stage_begin(name, first)
        for step in range(max(first, start), min(end, stop)):
            before_step(step)
            recorder.step(change("step", step, record(step)))
            done = step + 1
            if done % CHECKPOINT_EVERY == 0:
                recorder.checkpoint(done, change("checkpoint", done, tensors(done)))
        if end <= stop:
            values = {"text.bits_per_byte": 2.0 / end}
            recorder.scores(end, "heldout", change("scores", end, values), {"n": 3})
            weights = change("stage_end", end, hex_of("weights", end))
            recorder.stage_end(
                name, end, identity=hex_of("identity", name), weights_digest=weights
            )
    return recorder.finish(outcome) if outcome is not None else None
