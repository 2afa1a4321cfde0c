"""Rows out of shards: what is gathered at once is what is read one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from order_plans import make_plan
from test_token_store import documents_of, write_store

from runtime.mixture import BatchOrder, Mixture
from runtime.token_rows import RowReader
from runtime.token_store import TokenStore


class FakeStore:
    """A source whose token at place i is `first + i`."""

    is_elsewhere = False

    def __init__(self, first: int, num_tokens: int):
        self.tokens = np.arange(first, first + num_tokens, dtype=np.int32)
        self.num_tokens = num_tokens
        self.pieces = (self.tokens,)

    def read(self, start: int, count: int) -> np.ndarray:
        assert 0 <= start <= start + count <= self.num_tokens
        return self.tokens[start : start + count]


def order_of(sources: list[str], rows: list[tuple[int, int]], length: int):
    """The order of rows that are given as (source, first token)."""
    table = np.array(rows, np.int64).reshape(-1, 2)
    return BatchOrder(
        sources=tuple(sources),
        source_index=table[:, 0].astype(np.int32),
        epoch=np.zeros(len(table), np.int64),
        start_token=table[:, 1],
        sequence_length=length,
    )


def test_rows_hold_their_tokens_and_the_label_after_them():
    plan = make_plan([{"bread": 9, "code": 15}], sequences_per_step=8)
    stores = {"bread": FakeStore(1000, 33), "code": FakeStore(5000, 50)}
    mixture = Mixture(plan, {name: store.num_tokens for name, store in stores.items()})
    reader = RowReader(mixture.sources, stores)
    for step in range(plan.num_steps):
        order = mixture.at(step)
        batch = reader.read(order)
        assert batch.dtype == np.int32
        assert batch.shape == (8, 9)
        first = np.where(order.source_index == 0, 1000, 5000) + order.start_token
        np.testing.assert_array_equal(batch, first[:, None] + np.arange(9))


def test_the_lanes_of_a_batch_can_be_read_apart():
    plan = make_plan([{"bread": 8, "code": 8}], sequences_per_step=8)
    stores = {"bread": FakeStore(1000, 100), "code": FakeStore(5000, 100)}
    order = Mixture(plan, {"bread": 100, "code": 100}).at(1)
    reader = RowReader(["bread", "code"], stores)
    lanes = [reader.read(order[row : row + 2]) for row in range(0, 8, 2)]
    np.testing.assert_array_equal(np.concatenate(lanes), reader.read(order))


@pytest.fixture(params=[1000, 70_000], ids=["two bytes", "four bytes"])
def stores(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, TokenStore]:
    """Sources of several shards, of which some are empty and some a token long."""
    sizes = {"a": [0, 1, 9, 0, 40], "b": [25], "c": [3, 3, 3, 0]}
    return {
        name: write_store(
            tmp_path / name,
            [documents_of(seed, count, request.param) for seed, count in enumerate(of)],
            request.param,
        )
        for name, of in sizes.items()
    }


@pytest.mark.parametrize("length", [1, 7, 60])
def test_every_row_is_its_slice_of_the_source(
    stores: dict[str, TokenStore], length: int
) -> None:
    names = sorted(stores)
    rows = [
        (source, start)
        for source, name in enumerate(names)
        for start in range(stores[name].num_tokens - length)
    ]
    batch = RowReader(names, stores).read(order_of(names, rows, length))
    assert batch.dtype == np.int32
    for row, (source, start) in zip(batch, rows, strict=True):
        expected = stores[names[source]].read(start, length + 1)
        np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("rows", [[], [3], [0, 2, 5], [0, 1, 2, 3, 4, 5]])
def test_rows_of_other_processes_are_left_out(
    stores: dict[str, TokenStore], rows: list[int]
) -> None:
    order = order_of(["a", "b"], [(0, 1), (1, 4), (0, 90), (1, 3), (1, 9), (0, 7)], 6)
    reader = RowReader(["a", "b"], stores)
    expected = np.zeros((6, 7), np.int32)
    expected[rows] = reader.read(order)[rows]
    some = reader.read_some(order, np.array(rows, np.int64))
    np.testing.assert_array_equal(some, expected)


def test_a_batch_of_crossing_rows_alone_is_read(stores: dict[str, TokenStore]) -> None:
    whole = stores["c"].num_tokens - 1
    batch = RowReader(["c"], stores).read(order_of(["c"], [(0, 0), (0, 0)], whole))
    expected = stores["c"].read(0, whole + 1)
    np.testing.assert_array_equal(batch, np.stack([expected, expected]))


def test_a_row_past_the_end_of_its_source_is_an_error(
    stores: dict[str, TokenStore],
) -> None:
    start = stores["b"].num_tokens - 3
    with pytest.raises(IndexError, match="are outside 0 to"):
        RowReader(["a", "b", "c"], stores).read(
            order_of(["a", "b", "c"], [(1, start)], 3)
        )
