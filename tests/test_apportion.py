"""Division of sequences between sources: exact, and the same for any order of names."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.apportion import apportion, exact_decimal, normalised, source_shares

names = st.text("abcdefgh", min_size=1, max_size=3)
weights = st.dictionaries(
    names, st.floats(1e-6, 1e6, allow_nan=False), min_size=1, max_size=12
)


def shares_of(weights: dict[str, float]) -> dict[str, Fraction]:
    return source_shares(weights, {})


@given(weights, st.integers(0, 2**31))
def test_counts_add_up_and_are_within_one_of_their_share(
    weights: dict[str, float], num_sequences: int
) -> None:
    shares = shares_of(weights)
    counts = apportion(shares, num_sequences)
    assert sum(counts.values()) == num_sequences
    assert counts.keys() == weights.keys()
    for name, count in counts.items():
        assert abs(count - shares[name] * num_sequences) < 1


@given(weights, st.integers(0, 10_000), st.randoms())
def test_the_order_of_names_changes_nothing(
    weights: dict[str, float], num_sequences: int, rng: random.Random
) -> None:
    shuffled = list(weights.items())
    rng.shuffle(shuffled)
    once = apportion(shares_of(weights), num_sequences)
    again = apportion(shares_of(dict(shuffled)), num_sequences)
    assert list(once.items()) == list(again.items())


def test_ties_go_to_the_first_name() -> None:
    shares = normalised({"b": Fraction(1), "a": Fraction(1), "c": Fraction(1)})
    assert apportion(shares, 4) == {"a": 2, "b": 1, "c": 1}


def test_the_case_that_goes_wrong_elsewhere() -> None:
    # Weights of a published mixture and a block of 16, where giving the remainder to
    # the largest source starves another.
    weights = {"a": 0.5, "b": 0.2, "c": 0.15, "d": 0.1, "math": 0.03, "e": 0.02}
    counts = apportion(shares_of(weights), 16)
    assert counts == {"a": 8, "b": 3, "c": 2, "d": 2, "math": 1, "e": 0}


def test_weights_are_the_decimals_that_people_wrote() -> None:
    assert exact_decimal(0.1) == Fraction(1, 10)
    assert shares_of({"a": 0.1, "b": 0.2}) == {"a": Fraction(1, 3), "b": Fraction(2, 3)}
    # Three tenths as floats do not add up to 0.9: the counts must not care.
    assert apportion(shares_of({"a": 0.3, "b": 0.3, "c": 0.3}), 9) == {
        "a": 3,
        "b": 3,
        "c": 3,
    }


def test_nested_mixtures_pass_on_exact_products() -> None:
    mixtures = {
        "code": {"web": 70.0, "markup": 20.0, "synth": 10.0},
        "all": {"code": 1.0, "text": 2.0},
    }
    assert source_shares({"all": 3.0, "web": 1.0}, mixtures) == {
        "markup": Fraction(3, 4) * Fraction(1, 3) * Fraction(1, 5),
        "synth": Fraction(3, 4) * Fraction(1, 3) * Fraction(1, 10),
        "text": Fraction(1, 2),
        "web": Fraction(3, 4) * Fraction(1, 3) * Fraction(7, 10) + Fraction(1, 4),
    }


def test_mixtures_that_double_at_each_level_are_flattened_once() -> None:
    # Walked path by path this would take 2**60 steps.
    mixtures = {
        f"m{index}": {f"m{index - 1}": 1.0, "x": 1.0, f"m{max(index - 2, 0)}": 1.0}
        for index in range(1, 60)
    }
    mixtures["m0"] = {"x": 1.0, "y": 1.0}
    shares = source_shares({"m59": 1.0}, mixtures)
    assert sum(shares.values()) == 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 7.0, 1e6])
def test_only_the_proportions_of_weights_matter(scale: float) -> None:
    weights = {"a": 50 * scale, "b": 30 * scale, "c": 20 * scale}
    assert apportion(shares_of(weights), 1000) == {"a": 500, "b": 300, "c": 200}
