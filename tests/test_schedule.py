"""Learning rates: hand-over, shape, and the last step's exact value."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from specs.plan import PlannedRate
from specs.schedule import decimal, learning_rate_at, planned_rate
from specs.stages import Schedule

DECAYS = ["linear", "cosine", "sqrt"]


def planned(
    num_steps: int, previous: str | None = None, **schedule: Any
) -> PlannedRate:
    adapter: TypeAdapter[Schedule] = TypeAdapter(Schedule)
    return planned_rate(adapter.validate_python(schedule), num_steps, previous)


def rates(rate: PlannedRate, num_steps: int) -> list[float]:
    return [learning_rate_at(rate, step, num_steps) for step in range(num_steps)]


@st.composite
def stages(draw: st.DrawFn) -> tuple[PlannedRate, int]:
    num_steps = draw(st.integers(2, 40))
    warmup = draw(st.integers(0, num_steps - 1))
    peak = draw(st.floats(1e-8, 1.0))
    common = {"warmup_steps": warmup, "peak": peak}
    common["warmup_from"] = draw(st.floats(0, peak)) if warmup else 0.0
    final = draw(st.floats(0, peak))
    kind = draw(st.sampled_from(["constant", "cosine", "linear", *DECAYS]))
    if kind == "constant":
        return planned(num_steps, schedule=kind, **common), num_steps
    if kind in ("cosine", "linear") and draw(st.booleans()):
        return planned(num_steps, schedule=kind, final=final, **common), num_steps
    rate = planned(
        num_steps,
        schedule="warmup_stable_decay",
        decay=kind,
        decay_steps=draw(st.integers(1, num_steps - warmup)),
        final=final,
        **common,
    )
    return rate, num_steps


@given(stages())
def test_a_stage_ends_exactly_at_its_final_rate(stage: tuple[PlannedRate, int]) -> None:
    rate, num_steps = stage
    assert learning_rate_at(rate, num_steps - 1, num_steps) == float(rate.final)


@given(stages())
def test_a_stage_rises_then_rests_then_falls(stage: tuple[PlannedRate, int]) -> None:
    rate, num_steps = stage
    values = rates(rate, num_steps)
    warm, decay_start = rate.warmup_steps, num_steps - rate.decay_steps
    assert values[:warm] == sorted(values[:warm])
    assert all(value == float(rate.peak) for value in values[warm:decay_start])
    assert values[decay_start:] == sorted(values[decay_start:], reverse=True)
    assert all(0 <= value <= float(rate.peak) for value in values)


@given(stages())
def test_the_last_warmup_step_has_exactly_the_peak(
    stage: tuple[PlannedRate, int],
) -> None:
    rate, num_steps = stage
    if rate.warmup_steps:
        step = rate.warmup_steps - 1
        assert learning_rate_at(rate, step, num_steps) == float(rate.peak)


def test_warmup_starts_one_part_above_where_it_comes_from() -> None:
    rate = planned(8, schedule="constant", warmup_steps=4, warmup_from=0.1, peak=0.5)
    assert rates(rate, 8) == [0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_a_linear_decay_falls_in_equal_parts() -> None:
    rate = planned(4, schedule="linear", peak=1.0, final=0.2)
    assert rates(rate, 4) == [0.8, 0.6, 0.4, 0.2]


def test_a_constant_part_lies_between_warmup_and_decay() -> None:
    rate = planned(
        8,
        schedule="warmup_stable_decay",
        warmup_steps=2,
        peak=1.0,
        decay_steps=2,
        final=0.0,
    )
    assert rates(rate, 8) == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("decay", DECAYS)
def test_decays_follow_their_formula(decay: str) -> None:
    rate = planned(
        101,
        schedule="warmup_stable_decay",
        decay=decay,
        peak=3e-3,
        decay_steps=100,
        final=1e-4,
    )
    for step in range(1, 101):
        progress = step / 100
        shape = {
            "linear": 1 - progress,
            "cosine": (1 + math.cos(math.pi * progress)) / 2,
            "sqrt": 1 - math.sqrt(progress),
        }[decay]
        # The C library's functions are off by a bit or two; the decimals are not.
        assert learning_rate_at(rate, step, 101) == pytest.approx(
            1e-4 + (3e-3 - 1e-4) * shape, rel=1e-14
        )


def test_rates_have_the_bits_that_they_always_had() -> None:
    rate = planned(1000, schedule="cosine", warmup_steps=7, peak=6e-3, final=2e-3)
    packed = b"".join(struct.pack("<d", value) for value in rates(rate, 1000))
    # A change here changes every weight that was ever trained with a cosine.
    assert hashlib.sha256(packed).hexdigest() == (
        "b464fc1da0a76621097543cad768b56a9d4fe935cd6b2f68651b2e1920bdc777"
    )


def test_previous_takes_over_the_last_rate() -> None:
    first = planned(10, schedule="cosine", peak=1e-3, final=3e-4)
    second = planned(
        10,
        first.final,
        schedule="linear",
        warmup_steps=2,
        warmup_from="previous",
        peak="previous",
        final=1e-6,
    )
    assert second.peak == second.warmup_from == first.final == "0.0003"
    assert learning_rate_at(second, 0, 10) == learning_rate_at(first, 9, 10)


def test_a_constant_stage_hands_over_its_peak() -> None:
    first = planned(3, schedule="constant", peak=2e-3)
    assert (first.final, first.decay_steps, first.decay) == ("0.002", 0, "none")


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_of_the_stage_is_a_mistake(step: int) -> None:
    rate = planned(10, schedule="constant", peak=1.0)
    with pytest.raises(IndexError):
        learning_rate_at(rate, step, 10)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_read_back_as_the_same_float(value: float) -> None:
    assert float(decimal(value)) == value
