"""Two fingerprints tell which single element was another one, and what it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import changed_element as module
from runtime.changed_element import changed_element
from runtime.fingerprint import fingerprint_arrays


@given(st.integers(0, 99), st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1))
def test_one_changed_element_is_found_with_what_it_was(place, value, seed) -> None:
    ours = np.random.default_rng(seed).integers(0, 2**31, (10, 10), np.int32)
    theirs = ours.copy()
    theirs.reshape(-1)[place] = value
    found = changed_element("batch", ours, fingerprint_arrays({"batch": theirs}))
    if value == ours.reshape(-1)[place]:
        assert found is None
    else:
        assert found is not None
        assert found.place == place
        assert found.bits == value


def test_a_large_array_is_searched_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 33)
    ours = np.arange(100, dtype=np.int32)
    theirs = ours.copy()
    theirs[99] = 7
    found = changed_element("x", ours, fingerprint_arrays({"x": theirs}))
    assert found == (99, 7)


def test_several_changed_elements_are_not_taken_for_one(
    rng: np.random.Generator,
) -> None:
    ours = rng.integers(0, 97, 500).astype(np.int32)
    for _ in range(50):
        theirs = ours.copy()
        theirs[rng.choice(500, 2, replace=False)] += 1
        assert changed_element("x", ours, fingerprint_arrays({"x": theirs})) is None
