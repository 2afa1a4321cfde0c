"""A divergence names its step, its channel, its tensors and what it points to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ledger_runs import environment, facts, play
from worded_runs import Worded, record_run, replay_of, run_facts

from ledger.recorder import Outcome, StepRecord
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger

RATED = {"loss": 2.0, "grad_norm": 0.5, "learning_rate": 0.01}


class Rated(Worded):
    """Logs loss, gradient norm and learning rate at every step; some of them other."""

    def __init__(self, since: int = 99, **metrics: float) -> None:
        super().__init__(("embed", "output"), since)
        self.metrics = metrics

    def changed(self, record: StepRecord) -> StepRecord:
        other = self.metrics if record.step >= self.since else {}
        return record.model_copy(update={"metrics": {**RATED, **other}})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path)


@pytest.mark.parametrize("step", [1, 5, 8, 11])
@pytest.mark.parametrize(
    ("metrics", "cause"),
    [
        ({"learning_rate": 0.02}, "learning rate"),
        ({}, "update"),
        ({"loss": 2.1}, "arithmetic"),
        ({"grad_norm": 0.6}, "arithmetic"),
    ],
)
def test_other_weights_are_told_apart_by_what_else_differs(
    ledger, tmp_path, step: int, metrics: dict[str, float], cause: str
) -> None:
    digest = record_run(ledger, tmp_path / "runs" / "a", Rated())
    verdict = replay_of(ledger, digest, Rated(since=step, **metrics))
    assert (verdict.grade, verdict.first_step, verdict.channel, verdict.cause) == (
        "DIVERGED", step, "weights", cause
    )  # fmt: skip
    assert verdict.tensors == ("embed", "output")
    assert "embed, output of 3 tensors" in verdict.what


@pytest.mark.parametrize(("since", "cause"), [(4, "resume seam"), (5, "arithmetic")])
def test_where_the_original_went_on_the_seam_is_the_suspect(
    ledger, tmp_path, since: int, cause: str
) -> None:
    folder = tmp_path / "runs" / "cut"
    recorder = RunRecorder(ledger, folder)
    outcome = Outcome(status="interrupted")
    told: dict[str, Any] = {"change": Worded(), "run_facts": run_facts()}
    play(recorder, stop=4, outcome=outcome, **told)
    recorder = RunRecorder(ledger, folder)
    told["run_facts"] = run_facts(resumed_from=4)
    play(recorder, start=4, **told)
    assert recorder.digest is not None
    verdict = replay_of(ledger, recorder.digest, Worded(("embed",), since))
    assert (verdict.first_step, verdict.cause) == (since, cause)


def test_another_library_is_named_beside_the_step(ledger, tmp_path) -> None:
    old = environment("0.9.0")
    digest = record_run(ledger, tmp_path / "runs" / "a", environment=old)
    verdict = replay_of(ledger, digest, Worded(("output",), 3))
    assert (verdict.first_step, verdict.tensors) == (3, ("output",))
    assert str(verdict.differences[0]) == (
        "environment.distributions.jaxlib: was 0.9.0, is 0.10.2"
    )


def test_an_entry_without_words_still_names_step_and_channel(ledger, tmp_path) -> None:
    recorder = RunRecorder(ledger, tmp_path / "runs" / "old")
    play(recorder)
    assert recorder.digest is not None
    verdict = replay_of(ledger, recorder.digest, Worded(), told=facts())
    assert (verdict.first_step, verdict.channel) == (0, "weights")
    assert (verdict.tensors, verdict.num_tensors) == ((), None)
