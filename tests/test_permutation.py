from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.keys import key
from runtime.permutation import MAX_SIZE, permute

KEYS = st.integers(0, 2**64 - 1)


def permutation(key: int, size: int, index=None) -> np.ndarray:
    index = np.arange(size) if index is None else np.asarray(index, np.int64)
    return permute(
        index,
        keys=np.full(len(index), key, np.uint64),
        sizes=np.full(len(index), size, np.int64),
    )


@given(KEYS, st.integers(1, 3000))
def test_each_element_is_taken_exactly_once(key, size):
    assert np.array_equal(np.sort(permutation(key, size)), np.arange(size))


@given(KEYS, st.integers(2**31, MAX_SIZE), st.data())
def test_huge_permutations_stay_inside_and_never_collide(key, size, data):
    index = data.draw(st.lists(st.integers(0, size - 1), min_size=2, unique=True))
    places = permutation(key, size, index)
    assert ((places >= 0) & (places < size)).all()
    assert len(set(places.tolist())) == len(index)


@given(st.lists(st.tuples(KEYS, st.integers(1, 10**9)), min_size=1))
def test_an_answer_does_not_depend_on_its_neighbours(pairs):
    keys = np.array([key for key, _ in pairs], np.uint64)
    sizes = np.array([size for _, size in pairs], np.int64)
    together = permute(sizes // 2, keys=keys, sizes=sizes)
    alone = [permutation(key, size, [size // 2])[0] for key, size in pairs]
    np.testing.assert_array_equal(together, alone)


def test_arguments_are_left_as_they_were():
    index, keys, sizes = np.arange(7), np.full(7, 5, np.uint64), np.full(7, 7)
    permute(index, keys=keys, sizes=sizes)
    np.testing.assert_array_equal(index, np.arange(7))
    np.testing.assert_array_equal(keys, np.full(7, 5))
    np.testing.assert_array_equal(sizes, np.full(7, 7))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_order_of_a_few_elements_is_as_likely(size):
    num_keys = 24_000
    keys = np.array([key(size, number) for number in range(num_keys)], np.uint64)
    sizes = np.full(num_keys, size)
    columns = [
        permute(np.full(num_keys, i), keys=keys, sizes=sizes) for i in range(size)
    ]
    seen = Counter(zip(*(column.tolist() for column in columns), strict=True))
    orders = list(itertools.permutations(range(size)))
    expected = num_keys / len(orders)
    chi_squared = sum((seen[order] - expected) ** 2 / expected for order in orders)
    # The keys are fixed, so this cannot flicker; 50 is beyond the 99.9th percentile
    # of chi-squared with 23 degrees of freedom.
    assert chi_squared < 50


def test_neighbours_land_far_apart_and_anywhere():
    size = 100_000
    places = permutation(key(17, "order"), size)
    halves = np.histogram2d(np.arange(size), places, bins=20)[0]
    expected = size / 400
    # 399 degrees of freedom: mean 399, standard deviation 28.
    assert ((halves - expected) ** 2 / expected).sum() < 399 + 5 * 28
    # The mean distance between two random places is a third of the size.
    assert abs(np.abs(np.diff(places)).mean() / size - 1 / 3) < 0.01
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.02


def test_different_keys_give_unrelated_orders():
    one, other = permutation(key(17, "a"), 1000), permutation(key(17, "b"), 1000)
    # A random permutation keeps one element in place on average.
    assert np.count_nonzero(one == other) < 10
