from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from runtime.fingerprint import (
    SUMS,
    fingerprint_arrays,
    fingerprint_hex,
    partial_fingerprint,
    salts_of,
)
from runtime.tensors import float_bits


def test_numpy_and_jax_agree(rng: np.random.Generator) -> None:
    array = rng.standard_normal((37, 11)).astype(np.float32)
    bits = float_bits(jnp.asarray(array).reshape(-1))
    sums = partial_fingerprint(jnp, "embed", bits, jnp.uint32(0))
    assert fingerprint_hex(np.asarray(sums)) == fingerprint_arrays({"embed": array})


def test_parts_in_any_order_add_up_to_the_whole(rng: np.random.Generator) -> None:
    array = rng.standard_normal(1000).astype(np.float32)
    bits = array.view(np.uint32)
    cuts = [0, *sorted(rng.choice(np.arange(1, 1000), 6, replace=False)), 1000]
    parts = list(pairwise(cuts))
    rng.shuffle(parts)
    total = np.zeros(SUMS, np.uint32)
    for start, stop in parts:
        total += partial_fingerprint(np, "x", bits[start:stop], np.uint32(start))
    assert fingerprint_hex(total) == fingerprint_arrays({"x": array})


def test_large_arrays_are_cut_where_nobody_sees(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = rng.integers(0, 2**31, 5000).astype(np.int32)
    whole = fingerprint_arrays({"x": array})
    monkeypatch.setattr("runtime.fingerprint._CHUNK", 333)
    assert fingerprint_arrays({"x": array}) == whole


def test_padding_with_zeros_changes_nothing(rng: np.random.Generator) -> None:
    array = rng.standard_normal(100).astype(np.float32)
    padded = np.pad(array, (0, 28))
    assert fingerprint_arrays({"x": padded}) == fingerprint_arrays({"x": array})


def test_every_flipped_bit_changes_all_four_sums(rng: np.random.Generator) -> None:
    bits = rng.integers(0, 2**32, 64, np.uint32)
    before = partial_fingerprint(np, "x", bits, np.uint32(0))
    for index in range(64):
        for bit in range(32):
            changed = bits.copy()
            changed[index] ^= np.uint32(1 << bit)
            after = partial_fingerprint(np, "x", changed, np.uint32(0))
            assert (after != before).all(), (index, bit)


def test_two_flipped_signs_do_not_cancel(rng: np.random.Generator) -> None:
    # The top bit times any odd weight is the top bit: a plain weighted sum of the bit
    # patterns would miss every even number of flipped signs.
    array = rng.standard_normal(64).astype(np.float32)
    before = fingerprint_arrays({"x": array})
    seen = {before}
    for other in range(1, 64):
        changed = array.copy()
        changed[[0, other]] *= -1
        seen.add(fingerprint_arrays({"x": changed}))
    assert len(seen) == 64


def test_position_and_name_count(rng: np.random.Generator) -> None:
    array = rng.standard_normal(64).astype(np.float32)
    swapped = array.copy()
    swapped[[3, 40]] = swapped[[40, 3]]
    assert fingerprint_arrays({"x": swapped}) != fingerprint_arrays({"x": array})
    assert fingerprint_arrays({"y": array}) != fingerprint_arrays({"x": array})
    assert len({*salts_of("x"), *salts_of("y")}) == 8


def test_minus_zero_is_not_zero() -> None:
    zero, minus = np.zeros(4, np.float32), np.full(4, -0.0, np.float32)
    assert fingerprint_arrays({"x": zero}) != fingerprint_arrays({"x": minus})
