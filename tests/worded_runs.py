"""Made-up runs with a word per tensor, and ways to disturb them at one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger_runs import facts, hex_of, play

from ledger.documents import Stored
from ledger.recorder import Diverged, Outcome, RunFacts, StepRecord
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.tensor_words import total_of
from ledger.verdict import Verdict
from specs.experiment import Experiment
from specs.resolve import plan_experiment

NAMES = ("block.attn.q", "embed", "output")


class Worded:
    """Gives each step words; `other` are tensors that differ from some step on."""

    def __init__(
        self, other: tuple[str, ...] = (), since: int = 0, initial: tuple[str, ...] = ()
    ) -> None:
        self.other, self.since, self.initial = other, since, initial

    def __call__(self, kind: str, step: int, value: Any) -> Any:
        if kind != "step":
            return value
        other = self.other if step >= self.since else ()
        words = _words(step, other)
        tail = hex_of("tail", step, other, digits=24)
        found = {"tensor_words": words, "weights": total_of(words) + tail}
        if step == 0:
            found["initial_words"] = _words(-1, self.initial)
        return self.changed(value.model_copy(update=found))

    def changed(self, record: StepRecord) -> StepRecord:
        """Change a step further."""
        return record


class Numbers(Worded):
    """Other weights from a step on, and metrics that are off by a factor."""

    def __init__(self, factor: float, since: int = 4, **fields: Any) -> None:
        super().__init__(("embed",), since, **fields)
        self.factor = factor

    def __call__(self, kind: str, step: int, value: Any) -> Any:
        if kind == "scores":
            return {name: one * self.factor for name, one in value.items()}
        if kind in ("checkpoint", "stage_end") and step > self.since:
            value = _disturbed(value)
        return super().__call__(kind, step, value)

    def changed(self, record: StepRecord) -> StepRecord:
        if record.step < self.since or record.metrics is None:
            return record
        metrics = {**record.metrics, "loss": record.metrics["loss"] * self.factor}
        return record.model_copy(update={"metrics": metrics})


def run_facts(seed: int = 17, **changes: Any) -> RunFacts:
    """Return facts of a run with some seed."""
    known = facts(None, tensor_names=NAMES)
    spec = {**known.experiment.to_json(), "seed": seed, **changes.pop("spec", {})}
    experiment = Experiment.model_validate(spec)
    fields = {"experiment": experiment, "plan": plan_experiment(experiment)}
    identity = hex_of("identity", seed, repr(spec))
    return known.model_copy(update={**fields, "identity": identity, **changes})


def record_run(ledger: Ledger, folder: Path, change: Any = None, **fields: Any) -> str:
    """Record a run; return its digest."""
    recorder = RunRecorder(ledger, folder)
    play(recorder, change=change or Worded(), run_facts=run_facts(**fields))
    assert recorder.digest is not None
    return recorder.digest


def replay_of(
    ledger: Ledger, digest: str, change: Any, told: RunFacts | None = None, **how: Any
) -> Verdict:
    """Replay a run, with something changed, to its verdict."""
    found: Stored = ledger.find(digest)
    recorder = ReplayRecorder(found, ledger, **how)
    told = told or run_facts()
    try:
        verdict = play(recorder, change=change, run_facts=told)
    except Diverged as stopped:
        reason = stopped.problems[0].what
        verdict = recorder.finish(Outcome(status="failed", reason=reason))
    assert isinstance(verdict, Verdict)
    return verdict


def _words(step: int, other: tuple[str, ...]) -> str:
    return "".join(hex_of(n, step, n in other, digits=8) for n in NAMES)


def _disturbed(value: Any) -> Any:
    if isinstance(value, str):
        return hex_of("other", value)
    sha256 = hex_of("other")
    return {n: x.model_copy(update={"sha256": sha256}) for n, x in value.items()}
