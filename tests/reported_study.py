"""A made-up study with its ledger, for tests of what is reported of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ledger_runs
from evaluated import evaluate
from ledger_runs import NUM_STEPS, SPEC, hex_of, lock, play

from ledger.recorder import COMPLETED, Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger

BITS = {("plain", 1): 2.0, ("plain", 2): 2.1, ("other", 1): 1.5}
"""Experiment and seed -> bits per byte after the second stage."""

STUDY = """
study: 1
name: made-up
description: Which is "better" & why?
experiments: [plain.yaml, other.yaml, never.yaml]
baseline: plain
scores:
  loss: {suite: heldout, metric: text.bits_per_byte, better: lower, label: Loss}
  quick: {suite: quick, unit: percent, label: Quick}
  copa: {suite: copa, unit: percent}
points:
  begun: {experiment: plain, after: balanced}
  plain: {experiment: plain, label: Plain}
  other: {experiment: other}
  never: {experiment: never, label: A mixture with a name of many words that never ran}
expected:
  - {point: plain, kind: printed, source: Table 2, values: {loss: 2.5}}
  - {point: never, kind: digitised, source: Figure 4, values: {loss: 2.4}}
claims:
  - {name: other-is-better, says: other.loss < plain.loss, source: "3 <i>& 1"}
  - {name: never-run, says: never.loss < plain.loss, note: It says <so> itself.}
  - {name: begun-is-worse, says: begun.loss > other.loss}
  - {name: begun-is-better, says: begun.loss < other.loss by >= 1% relative}
figures:
  - {kind: line, title: Share, points: [plain, other, never], scores: [loss],
     x: {values: [0, 50, 100], label: code %}}
  - {kind: stages, title: Stages, points: [begun, plain], scores: [loss]}
  - {kind: bars, title: All, points: [plain, other, never], scores: [quick]}
"""


def spec(name: str, seed: int, width: int) -> dict[str, Any]:
    model = {"layers": 1, "width": width, "heads": 2, "ffn_width": 16}
    return {**SPEC, "name": name, "seed": seed, "model": model}


def record(
    workspace: Path,
    name: str,
    seed: int,
    width: int,
    loss: float,
    outcome: Outcome = COMPLETED,
    *,
    stop: int = NUM_STEPS,
    data: str = "text",
    **changes: Any,
) -> str:
    """Record a run whose weights and losses are its own.

    Args:
        workspace: Has the ledger.
        name: Of the experiment.
        seed: Of the experiment.
        width: Of the model.
        loss: Bits per byte at the end.
        outcome: How it ended.
        stop: Steps done by then.
        data: What the source's file holds.
        **changes: Other keys of the spec.
    """

    def change(kind: str, step: int, value: Any) -> Any:
        if kind == "stage_end":
            return hex_of("weights", name, seed, step)
        if kind == "scores":
            return {"text.bits_per_byte": loss + (12 - step)}
        return value

    folder = (
        workspace
        / ".codemix"
        / "runs"
        / hex_of(name, seed, width, loss, outcome, stop, data, changes)
    )
    recorder = RunRecorder(Ledger.open(workspace), folder)
    facts = ledger_runs.facts.__wrapped__(
        spec={**spec(name, seed, width), **changes},
        identity=hex_of(name, seed),
        lock=lock(data),
    )
    play(recorder, run_facts=facts, change=change, outcome=outcome, stop=stop)
    assert recorder.digest is not None
    return recorder.digest


def make_study(folder: Path) -> Path:
    """Fill a workspace with a study in `study/` and its runs; return it."""
    (folder / ".dvc").mkdir()
    study = folder / "study"
    study.mkdir()
    (study / "study.yaml").write_text(STUDY)
    for name, seeds, width in (
        ("plain", [1, 2], 8),
        ("other", [1], 12),
        ("never", [1], 16),
    ):
        written = spec(name, seeds[0], width)
        if len(seeds) > 1:
            written["matrix"] = {"seed": seeds}
        (study / f"{name}.yaml").write_text(json.dumps(written))
    for (name, seed), loss in BITS.items():
        full = f"plain-seed-{seed}" if name == "plain" else name
        digest = record(folder, full, seed, 8 if name == "plain" else 12, loss)
        if name == "other":
            said: Any = {"choice": 0}
            evaluate(Ledger.open(folder), digest, name=full, said=said)
    # A later run of the same spec that failed is not what the spec comes to.
    failed = Outcome(status="failed", reason="out of memory")
    record(folder, "other", 1, 12, 9.9, failed)
    return folder
