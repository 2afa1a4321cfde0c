"""How values get from one process of the sandbox to another."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sandbox.inside_values import decode, encode


def no_objects(value: Any) -> int:
    raise AssertionError(f"{value!r} should have travelled")


def travelled(value: Any) -> Any:
    return decode(encode(value, no_objects), lambda number, kind: (number, kind))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
hashables = st.recursive(
    scalars,
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashables, max_size=4)
        | st.dictionaries(hashables, inner, max_size=4)
    ),
    max_leaves=8,
)


@given(values)
def test_a_value_arrives_as_it_was(value: Any) -> None:
    arrived = travelled(value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        range(3, -9, -2),
        deque([1, 2]),
        Counter("aab"),
        OrderedDict([(2, 1), (1, 2)]),
        bytearray(b"\0\xff"),
        "\ud800",
        10**3000,
        int,
        {1: 2, "a": 3}.keys(),
        {1: [2]}.items(),
        Fraction(-3, 7),
        Decimal("1.50"),
        Decimal("-Infinity"),
        [math.inf, -0.0, 5e-324],
    ],
    ids=ascii,
)
def test_a_rarer_value_arrives_as_it_was(value: Any) -> None:
    arrived = travelled(value)
    assert arrived == value
    assert repr(arrived) == repr(value)
    assert type(arrived) is type(value)


def test_a_subclass_arrives_as_what_it_derives_from() -> None:
    class Always(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert travelled(Always(3)) == 3
    assert travelled(Always(3)) != 4


@given(st.binary(max_size=40))
def test_what_is_no_value_is_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        decode(data, lambda number, kind: None)
    except ValueError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"lffffffff;N",
        b"y4;eval",
        b"n6;eval 1",
        b"n3;one",
        b"nb;Decimal one",
        b"nc;Fraction 1/0",
        b"i1",
        b"t-1;",
        b"NN",
        b"d1;N",
    ],
)
def test_a_value_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data, lambda number, kind: None)
