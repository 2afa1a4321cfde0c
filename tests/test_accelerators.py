"""Accelerators by name: what is known, what is said about what is not."""

from __future__ import annotations

import math

import pytest

from runtime.accelerators import CHIPS, parse_slice, slices_of
from specs.errors import InputError


@pytest.mark.parametrize(
    ("name", "topology", "num_chips", "num_devices"),
    [
        ("v5e-256", "v5e:16x16", 256, 256),
        ("v5e-1", "v5e:1x1", 1, 1),
        ("v5litepod-16", "v5e:4x4", 16, 16),
        ("V6E-32", "v6e:4x8", 32, 32),
        ("v5p-32", "v5p:2x2x4", 16, 16),
        ("v4-8", "v4:2x2x1", 4, 8),
        ("2xv5e-64", "v5e:8x8", 128, 128),
        ("16xh100", "h100:16", 16, 16),
        ("h200", "h200:1", 1, 1),
    ],
)
def test_names_are_those_that_one_orders_by(
    name: str, topology: str, num_chips: int, num_devices: int
) -> None:
    found = parse_slice(name)
    assert (found.topology, found.num_chips) == (topology, num_chips)
    assert found.num_devices == num_devices


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("v5e265", "did you mean 'v5e-256'?"),
        ("v5e_64", "did you mean 'v5e-64'?"),
        ("8xh10", "did you mean '8xh100'?"),
        ("nothing", "known: v4-N, v5e-N"),
        ("v5e-24", "use one of v5e-1, v5e-4, v5e-8, v5e-16, v5e-32"),
        ("v5p-4", "TensorCores, two to a chip"),
        ("12xh100", "must be a power of two, got 12"),
        ("3xv5e-64", "use 2xv5e-64, 4xv5e-64, ..."),
        ("0xa100", "must be a power of two, got 0"),
    ],
)
def test_unknown_names_and_sizes_are_told_what_there_is(name: str, told: str) -> None:
    with pytest.raises(InputError, match="--on: ") as caught:
        parse_slice(name)
    assert told in str(caught.value)


@pytest.mark.parametrize("family", CHIPS)
def test_slices_of_a_family_grow_and_bear_their_own_names(family: str) -> None:
    slices = slices_of(family)
    counts = [one.num_chips for one in slices]
    assert counts == sorted(set(counts))
    assert all(count & (count - 1) == 0 for count in counts)
    assert [parse_slice(one.name) for one in slices] == list(slices)


@pytest.mark.parametrize("family", CHIPS)
def test_a_datasheet_holds_together(family: str) -> None:
    chip = CHIPS[family]
    # Cycles needed to read all of memory once: all of these chips are built alike.
    assert 0.01 < chip.memory_bytes / chip.memory_bandwidth < 0.1
    assert chip.network_bandwidth < chip.link_bandwidth < chip.memory_bandwidth
    # 128 x 128 multiply-adds per unit and cycle, eight units at most per TensorCore.
    if chip.kind == "tpu":
        units = chip.flops / (chip.clock * 2 * 128 * 128)
        assert units == pytest.approx(round(units / 4) * 4, rel=0.02)


def test_axes_close_to_rings_where_cloud_tpu_closes_them() -> None:
    assert parse_slice("v5e-256").rings == (True, True)
    assert parse_slice("v5e-128").rings == (False, True)
    assert parse_slice("v5p-64").rings == (False, False, False)
    assert parse_slice("v5p-128").rings == (True, True, True)
    assert math.prod(parse_slice("v5p-128").grid) == 64
