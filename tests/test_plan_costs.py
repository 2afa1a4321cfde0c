"""What a plan costs: parameters counted weight by weight, arithmetic, epochs."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_examples import document, stage

from specs.costs import (
    SourceUse,
    check_epochs,
    checkpoint_bytes,
    flops_per_token,
    parameter_count,
    source_uses,
    training_flops,
)
from specs.errors import SpecError
from specs.experiment import Experiment
from specs.loading import load_experiment
from specs.lock import Lock, LockedStore
from specs.plan import Plan, PlannedModel
from specs.report import plan_report
from specs.resolve import plan_experiment

GOOD = Path(__file__).parent / "good_specs"


def model(**changes: Any) -> PlannedModel:
    values = {
        "layers": 3,
        "width": 96,
        "heads": 6,
        "kv_heads": 2,
        "ffn_width": 128,
        "vocab_size": 1000,
        "block": "parallel",
        "norm": "layernorm",
        "norm_epsilon": "1e-05",
        "rope_theta": "10000.0",
        "attention_mask": "causal",
        "tied_embeddings": True,
        "init": "glorot_normal",
        "compute": "float32",
    }
    return PlannedModel.model_validate({**values, **changes})


def weights_of(model: PlannedModel) -> dict[str, tuple[int, ...]]:
    """Every weight by name and shape, listed and not calculated."""
    width, head = model.width, model.width // model.heads
    weights: dict[str, tuple[int, ...]] = {"embedding": (model.vocab_size, width)}
    if not model.tied_embeddings:
        weights["output"] = (width, model.vocab_size)
    for layer in range(model.layers):
        weights[f"{layer}.norm"] = (width,)
        if model.block == "sequential":
            weights[f"{layer}.second_norm"] = (width,)
        weights[f"{layer}.query"] = (width, model.heads, head)
        weights[f"{layer}.key"] = (width, model.kv_heads, head)
        weights[f"{layer}.value"] = (width, model.kv_heads, head)
        weights[f"{layer}.out"] = (model.heads, head, width)
        weights[f"{layer}.gate"] = (width, model.ffn_width)
        weights[f"{layer}.up"] = (width, model.ffn_width)
        weights[f"{layer}.down"] = (model.ffn_width, width)
    weights["final_norm"] = (width,)
    return weights


@pytest.mark.parametrize("tied_embeddings", [True, False])
@pytest.mark.parametrize("block", ["parallel", "sequential"])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_parameters_are_the_sum_of_all_weights(
    tied_embeddings: bool, block: str, kv_heads: int
) -> None:
    one = model(tied_embeddings=tied_embeddings, block=block, kv_heads=kv_heads)
    assert parameter_count(one) == sum(map(math.prod, weights_of(one).values()))


def test_the_470m_preset_has_about_470_million_parameters() -> None:
    size = {"layers": 16, "width": 1024, "heads": 16, "kv_heads": 16}
    one = model(**size, ffn_width=2816, vocab_size=256_000)
    assert parameter_count(one) == 467_682_304


def test_a_token_costs_six_operations_a_weight_and_its_attention() -> None:
    one = model(tied_embeddings=False)
    matrices = sum(
        math.prod(shape)
        for name, shape in weights_of(one).items()
        if "norm" not in name and name != "embedding"
    )
    # Scores and weighted sum: two products of length x width, two operations each,
    # forward once and backward twice.
    attention = 3 * (2 * 2 * 50 * one.width) * one.layers
    assert flops_per_token(one, sequence_length=50) == 6 * matrices + attention


def test_tying_embeddings_saves_weights_and_no_arithmetic() -> None:
    tied, untied = model(tied_embeddings=True), model(tied_embeddings=False)
    assert flops_per_token(tied, 64) == flops_per_token(untied, 64)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_experiment(load_experiment(GOOD / "everything.yaml"))


def lock_with(plan: Plan, train_tokens: int, names: list[str]) -> Lock:
    store = LockedStore(
        identity="i", manifest_sha256="m", train_tokens=train_tokens, heldout_tokens=1
    )
    return Lock(lock=1, codemix="0", inputs={}, stores=dict.fromkeys(names, store))


def test_the_cost_of_a_run_is_the_sum_over_its_stages(plan: Plan) -> None:
    assert training_flops(plan) == sum(
        stage.num_tokens * flops_per_token(plan.model, stage.sequence_length)
        for stage in plan.stages
    )
    assert checkpoint_bytes(plan) == plan.num_parameters * 3 * 4


def test_a_source_needs_all_tokens_up_to_its_last(plan: Plan) -> None:
    uses = source_uses(plan, None)
    # What a stage skips to begin at a whole longer sequence is used up too.
    last = plan.stages[-1]
    assert uses["web"].tokens_needed == (
        last.start_tokens["web"] + last.sequences["web"] * last.sequence_length
    )
    assert uses["web"].epochs is None


def test_an_epoch_is_the_whole_units_that_can_be_predicted(plan: Plan) -> None:
    # A unit of 64 tokens needs one more to predict: 6400 tokens hold 99 of them.
    for train_tokens, units in ((6400, 99), (6401, 100), (64, 0), (1, 0), (0, 0)):
        lock = lock_with(plan, train_tokens, ["web"])
        assert source_uses(plan, lock)["web"].tokens_per_epoch == units * 64


def test_a_source_may_be_used_up_to_its_limit_exactly(plan: Plan) -> None:
    needed = source_uses(plan, None)["web"].tokens_needed
    units = -(-needed // plan.shuffle_unit)
    check_epochs(plan, lock_with(plan, units * plan.shuffle_unit + 1, ["web"]))
    with pytest.raises(SpecError, match=r"sources\.web\.max_epochs"):
        check_epochs(plan, lock_with(plan, (units - 1) * plan.shuffle_unit, ["web"]))


@pytest.mark.parametrize("max_epochs", [1, 0.5, 4])
def test_the_limit_itself_is_allowed(max_epochs: float) -> None:
    sources = {"text": {"uri": "t.jsonl", "max_epochs": max_epochs}}
    stages = [{**stage("one", 6400, {"text": 1}), "optimizer": None}]
    changed = document(sources=sources, stages=stages)
    small = plan_experiment(Experiment.model_validate(changed))
    per_epoch = int(6400 / max_epochs)
    check_epochs(small, lock_with(small, per_epoch + 1, ["text"]))
    with pytest.raises(SpecError, match=r"sources\.text\.max_epochs"):
        check_epochs(small, lock_with(small, per_epoch, ["text"]))


def test_every_source_beyond_its_limit_is_told_with_the_way_out(plan: Plan) -> None:
    with pytest.raises(SpecError, match=r"epochs, more than") as caught:
        check_epochs(plan, lock_with(plan, 1100, ["web", "text", "markup"]))
    problems = {str(problem.path): problem for problem in caught.value.problems}
    assert set(problems) == {
        f"sources.{name}.max_epochs" for name in ("web", "text", "markup")
    }
    web = source_uses(plan, lock_with(plan, 1100, ["web"]))["web"]
    problem = problems["sources.web.max_epochs"]
    assert f"{web.tokens_needed:,} tokens are needed" in problem.what
    assert "an epoch has 1,088" in problem.what
    assert problem.fix is not None
    # Following the advice is enough, and barely.
    advised = Fraction(problem.fix.split()[3])
    assert web.epochs is not None
    assert 0 <= advised - web.epochs < Fraction(1, 100)


def test_a_source_without_one_sequence_is_told(plan: Plan) -> None:
    with pytest.raises(SpecError, match=r"not one whole sequence"):
        check_epochs(plan, lock_with(plan, 10, ["web"]))


def test_sources_that_are_not_prepared_pass(plan: Plan) -> None:
    check_epochs(plan, lock_with(plan, 1, []))


@given(st.integers(0, 10**15), st.integers(1, 10**12))
def test_epochs_are_exact(needed: int, per_epoch: int) -> None:
    use = SourceUse(needed, per_epoch, Fraction(1))
    assert use.epochs is not None
    assert use.epochs * per_epoch == needed


def test_the_report_is_plain_json_and_says_what_the_plan_says(plan: Plan) -> None:
    report = plan_report(plan, lock_with(plan, 10**6 + 1, ["web"]))
    assert json.loads(json.dumps(report)) == report
    assert report["num_steps"] == plan.num_steps
    assert report["sources"]["web"]["epochs"] == pytest.approx(
        report["sources"]["web"]["tokens_needed"] / 10**6, rel=1e-3
    )
    assert report["sources"]["text"]["epochs"] is None
    assert [stage["sequences"] for stage in report["stages"]] == [
        stage.sequences for stage in plan.stages
    ]
