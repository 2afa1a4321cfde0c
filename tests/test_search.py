"""Searches: what is proposed depends on the ledger alone, and is always a mixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ledger_runs
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_runs import SPEC, hex_of, lock, play

from codemix_cli.main import cli
from codemix_cli.search_table import told_search
from evals.search.proposing import NUM_RANDOM, propose
from evals.search.searching import SearchEnded
from evals.search.trials import space_of, trials_in
from ledger.recorder import COMPLETED, Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.errors import InputError, SpecError
from specs.search import WHOLE, VariedShare
from specs.search_space import SearchSpace, Shares
from specs.study_file import load_study
from specs.study_loaded import Study

STUDY = """
study: 1
name: looking
experiments: [base.yaml]
scores:
  loss: {suite: heldout, metric: text.bits_per_byte, better: lower}
search:
  experiment: base
  objective: {score: loss}
  weights: {stages.1.mixture.code: [0, 60], stages.0.mixture.code: [10, 100]}
"""

SOURCE = {"uri": "data/*.txt", "max_epochs": 100}


def base(**changes: Any) -> dict[str, Any]:
    stages = [{**one, "mixture": {"text": 1, "code": 1}} for one in SPEC["stages"]]  # type: ignore[attr-defined]
    sources = {"text": SOURCE, "code": SOURCE}
    return {**SPEC, "name": "base", "sources": sources, "stages": stages, **changes}


def study_in(folder: Path, text: str = STUDY) -> Study:
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(text)
    (folder / "base.yaml").write_text(json.dumps(base()))
    return load_study(folder)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / ".dvc").mkdir()
    return study_in(tmp_path / "study")


def space(study: Study) -> SearchSpace:
    assert study.file.search is not None
    return space_of(study, study.file.search)


def record(
    study: Study,
    workspace: Path,
    shares: Shares,
    loss: float,
    outcome: Outcome = COMPLETED,
    **changes: Any,
) -> str:
    experiment = space(study).experiment(shares).to_json()

    def change(kind: str, step: int, value: Any) -> Any:
        if kind == "stage_end":
            return hex_of("weights", shares, step, loss)
        return {"text.bits_per_byte": loss + (12 - step)} if kind == "scores" else value

    facts = ledger_runs.facts.__wrapped__(
        spec=experiment, identity=hex_of(shares, loss), **changes
    )
    folder = workspace / ".codemix" / "runs" / hex_of(shares, loss)
    recorder = RunRecorder(Ledger.open(workspace), folder)
    play(recorder, run_facts=facts, change=change, outcome=outcome)
    assert recorder.digest is not None
    return recorder.digest


def found(study: Study, workspace: Path) -> dict[Shares, float]:
    assert study.file.search is not None
    ledger = Ledger(workspace / ".codemix" / "ledger")
    trials = trials_in(study, study.file.search, ledger, lock())
    return {one.shares: one.objective for one in trials}


def test_a_trial_is_the_experiment_with_other_weights(study: Study) -> None:
    # By stage, whatever the order in the file.
    made = space(study).experiment((105, 0))
    assert made.name == "base.0.code-105.1.code-000"
    assert made.stages[0].mixture == {"text": 89.5, "code": 10.5}
    assert made.stages[1].mixture == {"text": 100.0}
    assert space(study).experiment((1000, 600)).stages[0].mixture == {"code": 100.0}
    again = made.model_copy(update={"name": "base", "stages": space(study).base.stages})
    assert again == space(study).base
    assert space(study).shares_of(made.name) == (105, 0)
    assert space(study).shares_of("base.0.code-105") is None


def value_of(shares: Shares) -> float:
    return sum((share - 300) ** 2 for share in shares) / WHOLE


def sequence(space: SearchSpace, seed: int, count: int) -> dict[Shares, float]:
    tried: dict[Shares, float] = {}
    for _ in range(count):
        shares = propose(space, seed, tried, "lower")
        assert shares is not None
        assert shares not in tried
        tried[shares] = value_of(shares)
    return tried


def test_a_proposal_depends_on_seed_and_trials_and_not_on_their_order(
    study: Study,
) -> None:
    tried = sequence(space(study), 0, NUM_RANDOM + 2)
    backwards = dict(reversed(tried.items()))
    proposed = propose(space(study), 0, tried, "lower")
    assert propose(space(study), 0, backwards, "lower") == proposed
    assert propose(space(study), 1, tried, "lower") != proposed
    assert propose(space(study), 0, tried, "higher") != proposed
    fewer = dict(list(tried.items())[:-1])
    assert propose(space(study), 0, fewer, "lower") == list(tried)[-1]


def test_what_others_came_to_is_used(study: Study) -> None:
    tried = list(sequence(space(study), 3, 40).values())
    # The median of twenty after the estimators have learned, against that of chance.
    assert sorted(tried[20:])[10] < sorted(tried[:NUM_RANDOM])[NUM_RANDOM // 2] / 2


def test_what_is_not_finite_is_not_tried_again(study: Study) -> None:
    tight = SearchSpace(base=space(study).base, varied=(VariedShare(0, "code", 1, 2),))
    tried = {(1,): float("nan")}
    assert propose(tight, 0, tried, "lower") == (2,)
    assert propose(tight, 0, {**tried, (2,): 1.0}, "lower") is None


RANGE = st.tuples(st.integers(0, 250), st.integers(0, WHOLE))


@settings(max_examples=60, deadline=None)
@given(ranges=st.lists(RANGE, min_size=1, max_size=4), seed=st.integers(0, 2**53 - 1))
def test_every_proposal_is_a_mixture_within_bounds(
    ranges: list[tuple[int, int]], seed: int
) -> None:
    varied = tuple(
        VariedShare(0, f"s{index}", low, max(low, high))
        for index, (low, high) in enumerate(ranges)
    )
    any_space = SearchSpace(base=None, varied=varied)  # type: ignore[arg-type]
    tried: dict[Shares, float] = {}
    for _ in range(3):
        shares = propose(any_space, seed, tried, "higher")
        if shares is None:
            break
        assert any_space.holds(shares)
        assert sum(shares) <= WHOLE
        for share, value in zip(varied, shares, strict=True):
            assert share.low <= value <= share.high
        tried[shares] = 1.0
    assert all(any_space.holds(corner) for corner in any_space.corners())


def test_trials_are_what_the_ledger_has_of_them(study: Study, tmp_path: Path) -> None:
    first = record(study, tmp_path, (500, 200), 2.5)
    best = record(study, tmp_path, (100, 600), 1.5)
    record(study, tmp_path, (50, 300), 1.0)  # Below the least share.
    record(study, tmp_path, (200, 200), 1.0, lock=lock("other bytes"))
    assert found(study, tmp_path) == {(100, 600): 1.5, (500, 200): 2.5}
    again = study_in(tmp_path / "again", STUDY.replace("[10, 100]", "[5, 100]"))
    assert (50, 300) in found(again, tmp_path)

    assert study.file.search is not None
    ledger = Ledger(tmp_path / ".codemix" / "ledger")
    trials = trials_in(study, study.file.search, ledger, lock())
    ended = SearchEnded(study=study, search=study.file.search, trials=tuple(trials))
    assert told_search(ended).splitlines() == [
        "trial                       stages.0.mixture.code %  stages.1.mixture.code %"
        "  loss  entry",
        "base.0.code-100.1.code-600                     10.0                     60.0"
        f"   1.5  {best[:12]}  best",
        "base.0.code-500.1.code-200                     50.0                     20.0"
        f"   2.5  {first[:12]}",
        "",
        "2 trials in the ledger",
    ]
    told = ended.to_json()
    assert told["best"]["entry"] == best
    assert json.loads(json.dumps(told))["trials"][1]["weights"] == {
        "stages.0.mixture.code": 50.0,
        "stages.1.mixture.code": 20.0,
    }


def test_an_objective_may_be_a_mean_or_of_an_earlier_stage(
    study: Study, tmp_path: Path
) -> None:
    record(study, tmp_path, (500, 200), 2.5)
    text = STUDY.replace("score: loss", "score: both, after: balanced").replace(
        "search:", "  both: {mean: [loss, loss], better: lower}\nsearch:"
    )
    assert found(study_in(tmp_path / "mean", text), tmp_path) == {(500, 200): 6.5}
    lacking = STUDY.replace("text.bits", "code.bits")
    with pytest.raises(InputError, match="has no loss: heldout has no code"):
        found(study_in(tmp_path / "lacking", lacking), tmp_path)


WRONG = {
    "score: loss": ("score: los", "search.objective.score: unknown score 'los'"),
    "experiment: base": ("experiment: bas", "search.experiment: unknown experiment"),
    "{score: loss}": ("{score: loss, after: t}", "base has no stage 't'"),
    "stages.1.mixture.code": ("stages.2.mixture.code", "has no stage 2 of its own"),
    "stages.0.mixture.code": ("stages.0.mixture.cod", "does not draw from 'cod'"),
    "stages.0.mixture.code:": ("stages.0.tokens:", "must be the place of a weight"),
    "[0, 60]": ("[60, 0]", "must be two percentages, the lower first, got 60, 0"),
    "60]": ("60.05]", "must have one decimal at most, got 0, 60.05"),
    "[10, 100]": ("[60, 100], stages.0.mixture.text: [41, 50]", "101 percent at least"),
    "[10, 100]}": ("[1, 9], stages.0.mixture.text: [1, 5]}", "to fill up, left none"),
    "{stages.1.mixture.code: [0, 60], stages.0.mixture.code: [10, 100]}": (
        "{}",
        "must name at least one",
    ),
}


@pytest.mark.parametrize("right", WRONG)
def test_a_wrong_search_is_told(right: str, tmp_path: Path) -> None:
    wrong, what = WRONG[right]
    assert right in STUDY
    with pytest.raises(SpecError, match=r".") as caught:
        study_in(tmp_path / "study", STUDY.replace(right, wrong))
    told = str(caught.value)
    assert what in told
    assert "study.yaml:" in told
    assert all(problem.fix for problem in caught.value.problems)


def test_a_study_without_a_search_is_as_before(tmp_path: Path) -> None:
    study = study_in(tmp_path / "study", STUDY.partition("search:")[0])
    assert "search" not in study.file.to_json()


def test_the_command_wants_a_search_and_no_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_in(tmp_path / "study", STUDY.partition("search:")[0])
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli, ["study", "study", "--search", "2", "--json"])
    assert told.exit_code == 4
    (problem,) = json.loads(told.stdout)["problems"]
    assert problem["what"] == "the study has no search"
    for other in (["--plan"], ["--jobs", "2"]):
        told = CliRunner().invoke(cli, ["study", "study", "--search", "2", *other])
        assert told.exit_code == 2
