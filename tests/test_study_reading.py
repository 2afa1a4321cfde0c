"""Scores out of entries: what is no number, and what names do not decide."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from reported_study import record, spec

from evals.judging.win_rate import WinRate
from evals.results import QuestionResult, TaskResult
from evals.search.trials import Trial
from evals.study.evidence import gather
from evals.study.measured import Measured, NotFinite
from evals.study.reading import WIN_SHARES, _answers
from ledger.documents import run_of
from ledger.store import Ledger
from specs.study import WIN_METRICS, StudyScore
from specs.study_file import load_study

STUDY = """
study: 1
name: s
scores:
  loss: {suite: heldout, metric: text.bits_per_byte, better: lower}
points:
  plain: {experiment: plain}
  twin: {experiment: twin}
"""
NL = StudyScore(suite="nl", unit="percent")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").write_text(STUDY)
    for name in ("plain", "twin"):
        written = {**spec(name, 1, 8), "matrix": {"seed": [1, 2]}}
        (tmp_path / "study" / f"{name}.yaml").write_text(json.dumps(written))
    return tmp_path


def test_one_run_is_of_all_experiments_that_are_the_same(folder: Path) -> None:
    digests = [record(folder, f"plain-seed-{seed}", seed, 8, 2.0) for seed in (1, 2)]
    found = gather(load_study(folder / "study"), Ledger.open(folder))
    for point in ("plain", "twin"):
        measured = found.found[point, "loss"]
        assert isinstance(measured, Measured)
        assert [run.entry for run in measured.runs] == digests
        assert len({run.weights for run in measured.runs}) == 2


def test_a_run_is_one_with_those_that_share_its_earlier_stages(folder: Path) -> None:
    digest = record(folder, "plain-seed-1", 1, 8, 2.0)
    found = gather(load_study(folder / "study"), Ledger.open(folder))
    measured = found.found["plain", "loss"]
    assert isinstance(measured, Measured)
    (run,) = measured.runs
    first, last = run_of(Ledger.open(folder).find(digest)).stages
    assert (run.trunk, run.weights) == ((first.weights_digest,), last.weights_digest)
    assert measured.origins == {digest, first.weights_digest, last.weights_digest}


def test_a_seed_that_came_to_no_number_is_not_left_out(folder: Path) -> None:
    record(folder, "plain-seed-1", 1, 8, 2.0)
    digest = record(folder, "plain-seed-2", 2, 8, math.nan)
    found = gather(load_study(folder / "study"), Ledger.open(folder))
    one = found.found["plain", "loss"]
    assert isinstance(one, NotFinite)
    assert one.why == f"heldout of {digest[:12]} is nan"


def test_a_trial_may_have_come_to_no_number() -> None:
    trial = Trial(name="x", shares=(1,), weights={}, objective=math.nan, entry="f" * 64)
    assert trial.to_json()["objective"] is None


def result(task: str, asked: str, values: dict[str, float]) -> TaskResult:
    questions = tuple(
        QuestionResult(id=name, values={"acc": value}, output={})
        for name, value in values.items()
    )
    return TaskResult(
        task=task, fingerprint=asked, main="acc", chance=0.5, questions=questions
    )


def test_answers_of_seeds_stand_side_by_side_by_question() -> None:
    one = {"x": result("x", "f", {"0": 1.0, "1": 0.0, "2": 1.0})}
    other = {"x": result("x", "f", {"1": 1.0, "2": 0.0, "3": 1.0})}
    found = _answers([one, other], NL)
    assert isinstance(found, dict)
    assert found["x"].ids == ("1", "2")
    assert found["x"].rows == ((0.0, 100.0), (100.0, 0.0))


def test_a_win_rate_has_every_metric_that_a_study_may_name() -> None:
    judged = WinRate.model_construct(wins=3, losses=1, ties=0)
    assert {"win_rate", *judged.shares} == set(WIN_METRICS)
    assert set(WIN_SHARES) == set(judged.shares)


@pytest.mark.parametrize(
    "other",
    [
        {"x": result("x", "g", {"0": 1.0})},
        {},
        {
            "x": result("x", "f", {"0": 1.0}),
            "y": result("y", "f", {"0": 1.0}),
        },
    ],
    ids=["otherwise", "not-at-all", "more"],
)
def test_seeds_that_were_asked_differently_are_no_repeats(
    other: dict[str, TaskResult],
) -> None:
    one = {"x": result("x", "f", {"0": 1.0})}
    name = "y" if "y" in other else "x"
    found = _answers([one, other], NL)
    assert not isinstance(found, dict)
    assert found.why == f"its seeds were asked {name} differently"
