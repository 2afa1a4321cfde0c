"""The sums on one device; `test_exactness` has the same on many."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exactness_worker import lanes_to_sum
from jax import lax

from runtime.numerics import exact_sum, sum_by_halves, turns


def tree_sum(lanes: Any) -> Any:
    while len(lanes) > 1:
        lanes = lanes[0::2] + lanes[1::2]
    return lanes[0]


def sum_on_one_device(lanes: Any) -> tuple[Any, int]:
    num_calls = 0

    def summed(turns: Any, lanes: Any) -> Any:
        def value_of_lane(lane: Any) -> Any:
            nonlocal num_calls
            num_calls += 1
            return {"x": lax.dynamic_index_in_dim(lanes, lane, keepdims=False)}

        zeros = {"x": jnp.zeros(lanes.shape[1:], jnp.float32)}
        return exact_sum(value_of_lane, zeros, num_lanes=lanes.shape[0], turns=turns)

    return np.asarray(jax.jit(summed)(turns(1), lanes)["x"]), num_calls


@pytest.mark.parametrize("num_lanes", [1, 2, 4, 16])
def test_lanes_are_summed_by_the_tree(num_lanes: int) -> None:
    lanes = lanes_to_sum()[:num_lanes]
    total, _ = sum_on_one_device(lanes)
    assert total.tobytes() == tree_sum(lanes).tobytes()


@pytest.mark.parametrize("num_lanes", [1, 16])
def test_a_lane_is_compiled_once_whatever_their_number(num_lanes: int) -> None:
    _, calls = sum_on_one_device(lanes_to_sum()[:num_lanes])
    assert calls <= 2  # jax traces the body of a loop once or twice


def test_minus_zero_stays_minus_zero() -> None:
    total, _ = sum_on_one_device(np.full((4, 2), -0.0, np.float32))
    assert np.signbit(total).all()


def test_what_an_earlier_sum_left_behind_is_never_added() -> None:
    # The buffers of partial sums are reused; an infinity left in one must not spread.
    lanes = np.ones((8, 3), np.float32)
    lanes[0:2] = np.inf
    total, _ = sum_on_one_device(lanes)
    assert np.isinf(total).all()
    lanes[0], lanes[1] = np.inf, -np.inf
    assert np.isnan(sum_on_one_device(lanes)[0]).all()
    assert (sum_on_one_device(np.ones((8, 3), np.float32))[0] == 8).all()


def test_rows_are_summed_by_the_tree() -> None:
    values = lanes_to_sum()[:, 0, 0]
    total = np.asarray(jax.jit(sum_by_halves)(values))
    assert total.tobytes() == tree_sum(values).tobytes()
