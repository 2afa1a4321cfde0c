from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.keys import key

PARTS = st.lists(st.text(max_size=8) | st.integers(), max_size=4)


def test_key_never_changes():
    # Every order and every initial weight hangs on these numbers.
    assert key(17) == KEY_OF_SEED
    assert key(17, "init", "block_3.attn.q") == KEY_OF_WEIGHT
    assert key(2**63 - 1, "order", "text", 12) == KEY_OF_ORDER


@given(st.integers(0, 2**63 - 1), PARTS)
def test_key_is_64_bits(seed, names):
    assert 0 <= key(seed, *names) < 2**64


@given(st.integers(0, 2**63 - 1), PARTS, st.integers(0, 2**63 - 1), PARTS)
def test_different_names_have_different_keys(seed, names, other_seed, other_names):
    same = (seed, names) == (other_seed, other_names)
    assert (key(seed, *names) == key(other_seed, *other_names)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b"), ("ab",)), (("5",), (5,)), (("a", ""), ("a",)), (("[]",), ())],
)
def test_names_that_look_alike_have_different_keys(one, other):
    assert key(17, *one) != key(17, *other)


def test_keys_load_nothing_heavy():
    script = "import sys, runtime.keys; sys.stdout.write(' '.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"jax", "numpy", "tensorflow"} & set(result.stdout.split())


KEY_OF_SEED = 4011185440299130861
KEY_OF_WEIGHT = 2780780105017225526
KEY_OF_ORDER = 14800122989344304365
