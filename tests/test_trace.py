"""The step trace: the first difference is found, and no change goes unseen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.series import decode_series, encode_series, first_point_difference
from ledger.trace import (
    HEADER,
    Trace,
    TraceDifference,
    TraceRecord,
    encode_trace,
    first_difference,
)
from specs.errors import CheckFailed


def records(length: int, start_step: int = 0, salt: int = 0) -> list[TraceRecord]:
    return [
        TraceRecord(step, f"{step:032x}", f"{step + salt:032x}")
        for step in range(start_step, start_step + length)
    ]


def trace(length: int, start_step: int = 0) -> Trace:
    return Trace(encode_trace(records(length, start_step)))


@given(st.integers(0, 60), st.integers(0, 10**11))
def test_a_trace_reads_back(length, start_step):
    found = trace(length, start_step)
    assert len(found) == length
    for record in records(length, start_step):
        assert found.at(record.step) == record
    with pytest.raises(IndexError):
        found.at(start_step + length)


@given(st.integers(1, 80), st.data())
def test_first_difference_names_the_first_changed_step_and_channel(length, data):
    left = records(length)
    changes = data.draw(
        st.dictionaries(
            st.integers(0, length - 1), st.sampled_from(["batch", "weights", "both"])
        )
    )
    right = list(left)
    for step, channel in changes.items():
        batch = "f" * 32 if channel != "weights" else left[step].batch
        weights = "f" * 32 if channel != "batch" else left[step].weights
        right[step] = TraceRecord(step, batch, weights)
    found = first_difference(Trace(encode_trace(left)), Trace(encode_trace(right)))
    if not changes:
        assert found is None
    else:
        first = min(changes)
        channel = "weights" if changes[first] == "weights" else "batch"
        assert found == TraceDifference(first, channel)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_shorter_trace_differs_where_it_ends(left, right):
    found = first_difference(trace(left, 5), trace(right, 5))
    if left == right:
        assert found is None
    else:
        assert found is not None
        assert found == TraceDifference(5 + min(left, right), "length")


def test_first_difference_looks_at_few_links():
    left, right = records(4096), records(4096)
    right[3000] = TraceRecord(3000, "0" * 32, "0" * 32)
    looked: list[int] = []

    class Counting(Trace):
        def chain_at(self, step: int) -> str:
            looked.append(step)
            return super().chain_at(step)

    found = first_difference(Counting(encode_trace(left)), Trace(encode_trace(right)))
    assert found is not None
    assert found.step == 3000
    assert len(looked) <= 13


def test_traces_of_different_spans_are_not_compared():
    with pytest.raises(ValueError, match="different steps"):
        first_difference(trace(3, 0), trace(3, 1))


@pytest.mark.parametrize("position", range(0, 16 + 3 * 144, 7))
def test_one_changed_byte_is_found(position):
    data = bytearray(encode_trace(records(3)))
    data[position] ^= 1
    with pytest.raises(CheckFailed, match="was changed after it was recorded"):
        Trace(bytes(data))


def test_dropped_repeated_and_reordered_lines_are_found():
    data = encode_trace(records(3))
    lines = [data[16 + 144 * i : 16 + 144 * (i + 1)] for i in range(3)]
    for kept in ([0, 2], [1, 2], [0, 0, 1, 2], [1, 0, 2]):
        with pytest.raises(CheckFailed):
            Trace(HEADER + b"".join(lines[index] for index in kept))


@pytest.mark.parametrize("steps", [[0, 2], [0, 0], [1, 0]])
def test_a_trace_chained_anew_with_other_steps_is_no_trace(steps):
    chosen = [records(3)[step] for step in steps]
    with pytest.raises(CheckFailed, match="out of order"):
        Trace(encode_trace(chosen))


def test_a_cut_trace_is_whole_but_has_another_head():
    data = encode_trace(records(3))
    assert Trace(data[:-144]).head != Trace(data).head


@given(
    st.dictionaries(
        st.integers(0, 10**6), st.dictionaries(st.text(min_size=1), st.floats())
    )
)
def test_a_series_keeps_every_number(points):
    decoded = list(decode_series(encode_series(points.items())))
    assert [point.step for point in decoded] == list(points)
    for point, values in zip(decoded, points.values(), strict=True):
        assert {name: repr(float(text)) for name, text in point.values.items()} == {
            name: repr(value) for name, value in values.items()
        }


def test_the_sign_of_zero_and_a_missing_number_are_differences():
    was = {"loss": "0.0", "norm": "1.0"}
    assert first_point_difference(was, was, step=3) is None
    found = first_point_difference(was, {"loss": "-0.0", "norm": "1.0"}, step=3)
    assert found == (3, "loss", "0.0", "-0.0")
    found = first_point_difference(was, {"loss": "0.0"}, step=3)
    assert found == (3, "norm", "1.0", None)


def test_another_file_is_no_series():
    with pytest.raises(CheckFailed, match="not a metric series"):
        list(decode_series(b"something else\n"))
