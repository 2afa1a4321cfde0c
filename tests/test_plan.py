"""The plan of an experiment: exact, complete, and the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from spec_examples import document, experiments, stage

from specs.experiment import Experiment
from specs.loading import load_experiment
from specs.plan import Plan
from specs.resolve import plan_experiment

ROOT = Path(__file__).resolve().parent.parent


def plan_of(**changes: Any) -> Plan:
    return plan_experiment(Experiment.model_validate(document(**changes)))


def test_the_plan_of_everything_is_as_it_was(
    golden: Callable[[str, str], None],
) -> None:
    path = ROOT / "tests" / "good_specs" / "everything.yaml"
    plan = plan_experiment(load_experiment(path))
    text = json.dumps(plan.to_json(), indent=1, sort_keys=True)
    golden("plan_of_everything.json", f"{text}\n")


def test_a_stage_has_as_many_whole_steps_as_its_tokens_hold() -> None:
    plan = plan_of()
    assert plan.stages[0].num_steps == 10_000 // (8 * 16) == 78
    assert plan.stages[0].num_tokens == 78 * 8 * 16
    assert plan.stages[0].sequences == {"text": 468, "web": 156}


def test_stages_follow_each_other_without_a_gap() -> None:
    plan = plan_of(
        stages=[
            {**stage("one", 4096, {"text": 1, "web": 1}), "optimizer": "reset"},
            stage("two", 4096, {"text": 1, "web": 3}),
            stage("three", 1280, {"web": 1}, optimizer="reset"),
        ]
    )
    borders = [(one.start_step, one.stop_step) for one in plan.stages]
    assert borders == [(0, 32), (32, 64), (64, 74)]
    assert [one.optimizer for one in plan.stages] == ["reset", "keep", "reset"]
    # The border itself, and the steps on both sides of it.
    assert [plan.stage_at(step).name for step in (31, 32, 33, 63, 64, 73)] == [
        *("one", "two", "two"),
        *("two", "three", "three"),
    ]
    with pytest.raises(IndexError):
        plan.stage_at(74)


def test_a_source_goes_on_where_the_stage_before_stopped() -> None:
    plan = plan_of(
        stages=[
            {**stage("one", 4096, {"text": 1, "web": 1}), "optimizer": None},
            stage("two", 4096, {"text": 1}),
            stage("three", 4096, {"text": 1, "web": 1}),
        ]
    )
    starts = [one.start_tokens for one in plan.stages]
    assert starts == [
        {"text": 0, "web": 0},
        {"text": 2048},
        {"text": 2048 + 4096, "web": 2048},
    ]


def test_a_stage_of_longer_sequences_starts_at_a_whole_one() -> None:
    plan = plan_of(
        sources={"text": {"uri": "t.jsonl"}},
        batch={"sequences": 1, "length": 16},
        stages=[
            {**stage("short", 48, {"text": 1}), "optimizer": None},
            stage("long", 128, {"text": 1}, batch={"sequences": 2, "length": 64}),
            stage("end", 32, {"text": 1}),
        ],
    )
    # 3 x 16 = 48 tokens are used, and 48 is no multiple of 64.
    assert [one.start_tokens["text"] for one in plan.stages] == [0, 64, 192]
    assert plan.shuffle_unit == 64


def test_a_stage_may_have_its_own_batch() -> None:
    own = {"sequences": 4, "length": 16, "lane": 2, "accumulation": 2}
    plan = plan_of(
        stages=[
            {**stage("one", 4096, {"text": 1, "web": 1}), "optimizer": None},
            stage("two", 4096, {"text": 1, "web": 1}, batch=own),
        ]
    )
    two = plan.stages[1]
    assert (two.sequences_per_step, two.lane_sequences, two.accumulation) == (4, 2, 2)
    assert plan.stages[0].num_lanes == 8


@given(experiments())
def test_sequences_tokens_and_cursors_add_up(experiment: Experiment) -> None:
    plan = plan_experiment(experiment)
    used: dict[str, int] = {}
    for planned, asked in zip(plan.stages, experiment.stages, strict=True):
        per_step = planned.sequences_per_step * planned.sequence_length
        assert sum(planned.sequences.values()) == planned.num_sequences
        assert 0 <= asked.tokens - planned.num_tokens < per_step
        assert plan.shuffle_unit % planned.sequence_length == 0
        for name, count in planned.sequences.items():
            start = planned.start_tokens[name]
            assert start % planned.sequence_length == 0
            assert 0 <= start - used.get(name, 0) < planned.sequence_length
            used[name] = start + count * planned.sequence_length


@given(experiments())
def test_a_plan_is_whole_numbers_and_words_and_survives_json(
    experiment: Experiment,
) -> None:
    plan = plan_experiment(experiment)

    def check(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                check(one)
        else:
            assert value is None or type(value) in (int, str, bool)

    check(plan.to_json())
    assert Plan.model_validate_json(plan.to_bytes()) == plan


def test_every_machine_makes_the_same_plan() -> None:
    # Another process with another hash seed stands in for another machine.
    script = (
        "from pathlib import Path\n"
        "from specs.loading import load_experiment\n"
        "from specs.resolve import plan_experiment\n"
        "print(plan_experiment(load_experiment(Path('specs/debug.yaml'))).digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_largest_study_is_planned_in_a_moment() -> None:
    start = time.process_time()
    plan = plan_of(
        model={"preset": "470m"},
        batch={"sequences": 512, "length": 8192},
        stages=[
            {**stage("one", 200 * 10**9, {"text": 1, "web": 1}), "optimizer": None},
            stage("two", 200 * 10**9, {"text": 9, "web": 1}),
        ],
    )
    # A millisecond or so here; a second is what was promised.
    assert time.process_time() - start < 1
    assert [one.num_steps for one in plan.stages] == [47_683, 47_683]


def test_the_reserve_is_the_largest_holdout() -> None:
    plan = plan_of(
        sources={
            "text": {"uri": "t", "holdout": "2%"},
            "web": {"uri": "w", "holdout": "0.5%"},
        }
    )
    assert [source.holdout for source in plan.sources.values()] == ["0.02", "0.005"]
    assert {source.reserve for source in plan.sources.values()} == {"0.02"}
