"""Formulas: operations, memory, messages, and the time of a step."""

from __future__ import annotations

from typing import Any

import pytest
from plans import plan, stage

from runtime.accelerators import parse_slice
from runtime.collectives import bytes_by_kind
from runtime.compiled import CompiledStep, Moved
from runtime.forecast import (
    Gather,
    Spread,
    attention_flops,
    expected_collectives,
    matrix_flops,
    memory_bytes,
)
from runtime.roofline import (
    ATTENTION_EFFICIENCY,
    LINK_EFFICIENCY,
    MATRIX_EFFICIENCY,
    MEMORY_EFFICIENCY,
    StepTime,
    compiled_time,
    forecast_time,
    model_flops_utilisation,
)
from specs.costs import flops_per_token
from specs.plan import Plan, PlannedStage

SIZES: dict[str, Any] = {
    "layers": 2,
    "width": 8,
    "heads": 2,
    "kv_heads": 2,
    "ffn_width": 16,
    "vocab_size": 100,
    "compute": "bfloat16",
}
# 2 x (4 x 64 + 3 x 128) in matrices, 800 in the table, 3 x 8 in norms.
WEIGHTS = 2 * 640 + 800 + 24


def experiment(remat: str = "none", **changes: Any) -> tuple[Plan, PlannedStage]:
    one = stage(sequences_per_step=64, sequence_length=32, remat=remat, **changes)
    whole = plan(one, **SIZES)
    assert whole.num_parameters == WEIGHTS
    return whole, one


def spread(name: str = "v5e-16", gather: Gather = "step", **changes: int) -> Spread:
    fields = {"slices": 1, "tensor": 1, **changes}
    return Spread(where=parse_slice(name), gather=gather, **fields)


def test_operations_of_products_and_of_what_is_computed_twice() -> None:
    tokens = 64 * 32
    # Of each layer, three matrices of 8 x 8 and two of 8 x 16.
    again = 2 * 2 * (3 * 64 + 2 * 128)
    for remat in ("none", "attention", "block"):
        whole, one = experiment(remat)
        products = 6 * (1280 + 800) + (0 if remat == "none" else again)
        assert matrix_flops(whole.model, one) == tokens * products
        passes = 9 if remat == "block" else 7
        assert attention_flops(whole.model, one) == tokens * passes * 2 * 8 * 32


def test_memory_by_formula_is_what_the_docstring_says() -> None:
    whole, one = experiment()
    # Per token and layer: input 16, q k v and mixed 64, log-sum-exp 8, gate and up 64.
    kept = 32 * 2 * (16 + 64 + 8 + 64)
    # The gradients of q, k, v, gate and up of a layer.
    kept += 32 * (3 * 8 + 2 * 16) * 2
    state = 12 * WEIGHTS // 16
    # Four lanes per device are three levels of the tree.
    assert memory_bytes(whole, one, spread()) == (
        state + 2 * WEIGHTS + 3 * 4 * WEIGHTS + kept
    )
    assert memory_bytes(whole, one, spread(gather="layer")) == (
        state + 6 * 800 + 3 * 4 * WEIGHTS // 16 + kept
    )


def test_messages_by_formula_are_gathers_and_the_rounds_of_the_tree() -> None:
    whole, one = experiment()
    sent = bytes_by_kind(expected_collectives(whole, one, spread()))
    others = WEIGHTS * 15 // 16
    tree = sum(4 * WEIGHTS >> (bit + 1) for bit in range(4))
    assert sent == {"all-gather": 2 * others, "collective-permute": tree}
    by_layer = spread(gather="layer")
    sent = bytes_by_kind(expected_collectives(whole, one, by_layer))
    # Four lanes per device, and weights in both passes of each.
    assert sent == {
        "all-gather": 2 * 4 * 2 * others,
        "collective-permute": 4 * tree,
    }


def test_copies_of_the_state_add_up_their_sums_once() -> None:
    whole, one = experiment()
    alone = bytes_by_kind(expected_collectives(whole, one, spread("v5e-8")))
    both = spread("2xv5e-8", slices=2)
    sent = bytes_by_kind(expected_collectives(whole, one, both))
    rows = 4 * WEIGHTS // 8
    assert sent["collective-permute"] == alone["collective-permute"] + rows // 2
    assert sent["all-gather"] == alone["all-gather"] + rows // 2


def test_exactness_sends_no_more_than_a_plain_reduce_scatter_by_formula() -> None:
    whole, one = experiment()
    plain = whole.model_copy(update={"determinism": "fast"})
    for gather in ("step", "layer"):
        where = spread(gather=gather)
        exact = sum(c.total_bytes for c in expected_collectives(whole, one, where))
        fast = sum(c.total_bytes for c in expected_collectives(plain, one, where))
        # But for rounding to bytes.
        assert exact <= fast * 1.001


def step(**changes: Any) -> CompiledStep:
    fields: dict[str, Any] = {
        "argument_bytes": 1,
        "temporary_bytes": 2,
        "peak_bytes": 3,
        "traffic_bytes": 0,
        "cycles": 0,
        "kernels": 0,
        "collectives": {},
        "unknown_loops": 0,
        "seconds": 1.0,
    }
    return CompiledStep(**{**fields, **changes})


def test_the_largest_of_three_times_is_the_step() -> None:
    time = StepTime(compute=1.0, memory=3.0, interconnect=2.0)
    assert (time.seconds, time.bound) == (3.0, "memory")


def test_a_compiled_step_takes_what_its_bytes_and_cycles_take() -> None:
    whole, one = experiment()
    where = parse_slice("v5e-16")
    moved = {"all-gather": Moved(bytes=1, seconds=0.4)}
    time = compiled_time(
        whole,
        one,
        where,
        step(traffic_bytes=819_000_000_000, cycles=3_000_000_000, collectives=moved),
    )
    assert time.compute == pytest.approx(2.0)
    assert time.memory == pytest.approx(1 / MEMORY_EFFICIENCY)
    assert time.interconnect == pytest.approx(0.4 / LINK_EFFICIENCY)


def test_a_kernel_adds_the_operations_that_the_compiler_does_not_see() -> None:
    whole, one = experiment()
    where = parse_slice("v5e-16")
    bare = compiled_time(whole, one, where, step(cycles=1_500_000_000))
    with_kernel = compiled_time(
        whole, one, where, step(cycles=1_500_000_000, kernels=3)
    )
    attention = attention_flops(whole.model, one) / (16 * 197e12 * ATTENTION_EFFICIENCY)
    assert with_kernel.compute - bare.compute == pytest.approx(attention)


def test_without_cycles_the_formula_bounds_a_step() -> None:
    whole, one = experiment()
    where = parse_slice("v5e-16")
    time = compiled_time(whole, one, where, step())
    products = matrix_flops(whole.model, one) / MATRIX_EFFICIENCY
    attention = attention_flops(whole.model, one) / ATTENTION_EFFICIENCY
    assert time.compute == pytest.approx((products + attention) / (16 * 197e12))
    assert time.compute == forecast_time(whole, one, spread()).compute


def test_utilisation_counts_the_operations_of_the_model_alone() -> None:
    whole, one = experiment("block")
    where = parse_slice("8xh100")
    flops = 64 * 32 * flops_per_token(whole.model, 32)
    peak = 8 * 989e12
    assert model_flops_utilisation(whole, one, where, flops / peak) == pytest.approx(1)
