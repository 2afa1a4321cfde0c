"""Words name the tensors that differ, and what was changed in them is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tensor_words import (
    TensorWords,
    WordsRecord,
    differing,
    encode_words,
    total_of,
)
from ledger.trace import Trace, TraceRecord, encode_trace
from specs.errors import CheckFailed

NAMES = ("embed", "output")
WORDS = st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2).map(
    lambda two: "".join(f"{word:08x}" for word in two)
)


@given(st.lists(WORDS, max_size=6), WORDS, st.integers(0, 10**11))
def test_words_are_read_as_they_were_written(after, initial, start) -> None:
    records = [
        WordsRecord(start + index, words, initial if index == 0 else None)
        for index, words in enumerate(after)
    ]
    found = TensorWords(encode_words(NAMES, records))
    assert found.names == NAMES
    assert len(found) == len(after)
    assert [found.at(start + index) for index in range(len(after))] == after
    assert found.initial == (initial if after else None)


@given(st.lists(WORDS, min_size=1, max_size=4), st.data())
def test_a_changed_word_does_not_add_up_to_the_trace(after, data) -> None:
    trace = Trace(
        encode_trace(
            TraceRecord(7 + index, "0" * 32, total_of(words) + "0" * 24)
            for index, words in enumerate(after)
        )
    )
    records = [WordsRecord(7 + index, words) for index, words in enumerate(after)]
    TensorWords(encode_words(NAMES, records)).check(trace)
    at = data.draw(st.integers(0, len(after) - 1))
    changed = f"{int(after[at], 16) ^ (1 << data.draw(st.integers(0, 63))):016x}"
    records[at] = records[at]._replace(after=changed)
    with pytest.raises(CheckFailed, match=f"step {7 + at} does not add up"):
        TensorWords(encode_words(NAMES, records)).check(trace)


def test_words_of_other_steps_than_the_trace_are_refused() -> None:
    trace = Trace(encode_trace([TraceRecord(3, "0" * 32, "0" * 32)]))
    words = TensorWords(encode_words(NAMES, [WordsRecord(4, "0" * 16)]))
    with pytest.raises(CheckFailed, match="other steps"):
        words.check(trace)


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_cut_file_is_refused(cut) -> None:
    whole = encode_words(NAMES, [WordsRecord(0, "0" * 16), WordsRecord(1, "1" * 16)])
    with pytest.raises(CheckFailed, match="isn't a whole file"):
        TensorWords(whole[:-cut])


@given(WORDS, WORDS)
def test_exactly_the_tensors_with_other_words_are_named(was, now) -> None:
    expected = [
        name
        for name, at in zip(NAMES, (0, 8), strict=True)
        if was[at : at + 8] != now[at : at + 8]
    ]
    assert list(differing(NAMES, was, now)) == expected
