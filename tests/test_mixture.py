from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_plans import make_plan

from runtime.mixture import PREFIX_BOUND, Mixture, sequences_until
from specs.checks import LIMIT
from specs.errors import InputError
from specs.loading import load_experiment
from specs.plan import Plan
from specs.resolve import plan_experiment

ROOT = Path(__file__).resolve().parent.parent

NAMES = ["apples", "bread", "code", "dust", "eggs", "fish", "games", "haystacks"]

COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 60), min_size=1)
SKEWED = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 9), min_size=1).map(
    lambda powers: {name: 3**power for name, power in powers.items()}
)


def mixture_of(plan: Plan, tokens: int = 8 * 7 + 1) -> Mixture:
    return Mixture(plan, dict.fromkeys(plan.sources, tokens))


def names_of(order) -> list[str]:
    return [order.sources[index] for index in order.source_index]


def all_rows(mixture: Mixture, plan: Plan) -> list[tuple[str, int, int, int]]:
    """Return (source, epoch, first token, length) of every row of the run."""
    rows = []
    for stage in plan.stages:
        order = mixture.rows(stage, 0, stage.num_sequences)
        length = [order.sequence_length] * len(order)
        rows += zip(
            names_of(order),
            order.epoch.tolist(),
            order.start_token.tolist(),
            length,
            strict=True,
        )
    return rows


@given(st.lists(COUNTS, min_size=1, max_size=3))
def test_each_stage_has_exactly_the_planned_sequences_of_each_source(counts):
    plan = make_plan(counts)
    mixture = mixture_of(plan)
    for stage in plan.stages:
        realised = Counter(names_of(mixture.rows(stage, 0, stage.num_sequences)))
        assert realised == stage.sequences


@given(COUNTS)
@settings(max_examples=30)
def test_the_sequences_until_a_step_are_those_of_its_rows(counts):
    counts = {name: 4 * count for name, count in counts.items()}
    plan = make_plan([{"apples": 12}, counts], sequences_per_step=4)
    stage = plan.stages[1]
    mixture = mixture_of(plan)
    for step in range(stage.num_steps + 1):
        order = mixture.rows(stage, 0, step * stage.sequences_per_step)
        realised = {**dict.fromkeys(counts, 0), **Counter(names_of(order))}
        assert sequences_until(stage, stage.start_step + step) == realised


@given(SKEWED)
@settings(max_examples=30)
def test_every_prefix_of_a_stage_is_near_its_exact_share(counts):
    plan = make_plan([counts])
    total = sum(counts.values())
    order = mixture_of(plan).rows(plan.stages[0], 0, total)
    positions = np.arange(1, total + 1)
    for index, name in enumerate(order.sources):
        so_far = np.cumsum(order.source_index == index)
        exact = positions * (counts[name] / total)
        assert np.abs(so_far - exact).max() <= PREFIX_BOUND


def test_a_fibonacci_mixture_stays_within_the_bound():
    # The worst tree: each source as heavy as the next two together.
    counts = dict(zip(NAMES, [1, 1, 2, 3, 5, 8, 13, 21], strict=True))
    plan = make_plan([counts])
    order = mixture_of(plan).rows(plan.stages[0], 0, 54)
    worst = max(
        np.abs(
            np.cumsum(order.source_index == index)
            - np.arange(1, 55) * (counts[name] / 54)
        ).max()
        for index, name in enumerate(order.sources)
    )
    assert 0.5 < worst <= PREFIX_BOUND


def test_the_longest_stage_does_not_overflow():
    total = LIMIT - 1
    half = total // 2
    plan = make_plan([{"bread": half, "code": total - half}])
    tokens = {"bread": 8 * half + 1, "code": 8 * (half + 1) + 1}
    order = Mixture(plan, tokens).rows(plan.stages[0], total - 100, total)
    assert Counter(names_of(order)) == {"bread": 50, "code": 50}
    assert (order.epoch == 0).all()
    assert (order.start_token < max(tokens.values())).all()


@given(COUNTS, st.integers(1, 9))
def test_an_epoch_takes_each_unit_of_a_source_exactly_once(counts, units):
    plan = make_plan([counts])
    # One token short of another unit: the last label needs it.
    rows = all_rows(mixture_of(plan, tokens=8 * (units + 1)), plan)
    for name, count in counts.items():
        by_epoch: dict[int, list[int]] = {}
        for source, epoch, start, _ in rows:
            if source == name:
                by_epoch.setdefault(epoch, []).append(start)
        assert list(by_epoch) == list(range(-(-count // units)))
        for epoch, starts in by_epoch.items():
            assert len(set(starts)) == len(starts)
            assert set(starts) <= {8 * unit for unit in range(units)}
            if epoch < count // units:
                assert len(starts) == units


def test_the_next_epoch_has_another_order():
    plan = make_plan([{"code": 300}])
    rows = all_rows(mixture_of(plan, tokens=8 * 100 + 1), plan)
    epochs = [[start for _, e, start, _ in rows if e == epoch] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])


@given(st.lists(st.tuples(COUNTS, st.sampled_from([2, 4, 8])), min_size=2, max_size=4))
def test_stages_of_different_lengths_never_share_a_token_within_an_epoch(stages):
    plan = make_plan(
        [counts for counts, _ in stages], lengths=[length for _, length in stages]
    )
    seen = Counter(
        (source, epoch, token)
        for source, epoch, start, length in all_rows(mixture_of(plan, 500), plan)
        for token in range(start, start + length)
    )
    assert set(seen.values()) == {1}


def test_a_stage_goes_on_where_the_one_before_stopped():
    whole = make_plan([{"code": 40}])
    parts = make_plan([{"code": 15}, {"code": 25}])
    assert all_rows(mixture_of(whole), whole) == all_rows(mixture_of(parts), parts)


def test_longer_rows_are_the_shorter_ones_joined():
    short = make_plan([{"code": 32}, {"bread": 1}], lengths=[4, 8])
    long = make_plan([{"code": 16}, {"bread": 1}], lengths=[8, 8])
    pairs = [row for row in all_rows(mixture_of(short), short) if row[0] == "code"]
    joined = [row for row in all_rows(mixture_of(long), long) if row[0] == "code"]
    assert [row[:3] for row in pairs[::2]] == [row[:3] for row in joined]
    assert [row[2] for row in pairs[1::2]] == [row[2] + 4 for row in joined]


@given(st.lists(COUNTS, min_size=1, max_size=3), st.randoms())
def test_any_step_can_be_asked_for_alone(counts, random):
    counts = [{name: 4 * count for name, count in one.items()} for one in counts]
    plan = make_plan(counts, sequences_per_step=4)
    rows = all_rows(mixture_of(plan), plan)
    steps = list(range(plan.num_steps))
    random.shuffle(steps)
    for step in steps[:20]:
        order = mixture_of(plan).at(step)
        assert names_of(order) == [row[0] for row in rows[4 * step : 4 * step + 4]]
        starts = [row[2] for row in rows[4 * step : 4 * step + 4]]
        assert order.start_token.tolist() == starts


@pytest.mark.parametrize("chunk_rows", [1, 8, 20])
def test_rows_that_are_looked_up_together_are_what_they_are_alone(
    monkeypatch, chunk_rows
):
    counts = {"apples": 3, "bread": 60, "code": 37}
    plan = make_plan([counts, counts], sequences_per_step=4)
    rows = all_rows(mixture_of(plan), plan)
    monkeypatch.setattr("runtime.mixture.CHUNK_ROWS", chunk_rows)
    mixture = mixture_of(plan)
    for step in [0, 1, 2, 49, 3, 24, 25, 26, 30, 4]:
        order = mixture.at(step)
        assert len(order) == 4
        starts = [row[1:3] for row in rows[4 * step : 4 * step + 4]]
        assert list(zip(order.epoch, order.start_token, strict=True)) == starts


@given(COUNTS)
def test_the_order_of_sources_in_the_spec_does_not_matter(counts):
    turned = dict(reversed(counts.items()))
    one, other = make_plan([counts]), make_plan([turned])
    assert all_rows(mixture_of(one), one) == all_rows(mixture_of(other), other)


def test_a_source_keeps_its_order_whatever_stands_beside_it():
    def code_of(plan):
        return [row for row in all_rows(mixture_of(plan), plan) if row[0] == "code"]

    alone = make_plan([{"code": 30}])
    mixed = make_plan([{"code": 10, "bread": 7}, {"apples": 3, "code": 20}])
    assert code_of(alone) == code_of(mixed)


def test_another_seed_gives_another_order():
    one, other = make_plan([{"code": 40}]), make_plan([{"code": 40}], seed=18)
    starts = [
        [row[2] for row in all_rows(mixture_of(plan, 8 * 40 + 1), plan)]
        for plan in (one, other)
    ]
    assert starts[0] != starts[1]


def test_two_sources_of_one_size_are_shuffled_differently():
    plan = make_plan([{"code": 40, "bread": 40}])
    rows = all_rows(mixture_of(plan, 8 * 40 + 1), plan)
    code, bread = (
        [row[2] for row in rows if row[0] == name] for name in ("code", "bread")
    )
    assert sorted(code) == sorted(bread)
    assert code != bread


def test_a_source_planned_with_no_sequence_is_left_out():
    plan = make_plan([{"code": 8, "dust": 0}])
    order = mixture_of(plan).rows(plan.stages[0], 0, 8)
    assert names_of(order) == ["code"] * 8


def test_a_slice_of_a_step_holds_the_rows_of_its_lanes():
    plan = make_plan([{"code": 16, "bread": 16}], sequences_per_step=8)
    order = mixture_of(plan).at(1)
    lane = order[2:4]
    assert len(lane) == 2
    assert lane.start_token.tolist() == order.start_token.tolist()[2:4]
    assert names_of(lane) == names_of(order)[2:4]


def test_too_small_sources_are_all_named():
    plan = make_plan([{"code": 8, "bread": 8, "eggs": 1}])
    with pytest.raises(InputError, match="at least 9 tokens") as caught:
        Mixture(plan, {"code": 9, "bread": 8})
    assert [problem.path for problem in caught.value.problems] == [
        "sources.bread",
        "sources.eggs",
    ]


@pytest.mark.parametrize("name", ["debug", "quickstart"])
def test_shipped_specs_get_the_sequences_that_were_planned(name):
    plan = plan_experiment(load_experiment(ROOT / "specs" / f"{name}.yaml"))
    mixture = mixture_of(plan, tokens=500_000)
    for stage in plan.stages:
        realised: Counter[str] = Counter()
        for step in range(stage.start_step, stage.stop_step):
            realised.update(names_of(mixture.at(step)))
        assert realised == stage.sequences
        assert realised.total() == stage.num_sequences


def test_the_order_of_a_fixed_plan_never_changes(golden):
    plan = make_plan(
        [{"apples": 3, "bread": 11, "code": 18}, {"bread": 2, "code": 14}],
        lengths=[4, 8],
        sequences_per_step=4,
    )
    mixture = Mixture(plan, {"apples": 100, "bread": 57, "code": 90})
    steps = []
    for step in range(plan.num_steps):
        order = mixture.at(step)
        rows = zip(names_of(order), order.epoch, order.start_token, strict=True)
        steps.append([f"{name} {epoch} {start}" for name, epoch, start in rows])
    golden("order.json", json.dumps(steps, indent=1) + "\n")
