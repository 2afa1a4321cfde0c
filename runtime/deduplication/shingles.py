"""The shingles of texts, as hashes of 64 bits: runs of words or of characters.

Words are runs of ASCII letters, digits, underscores and of bytes of characters beyond
ASCII, so they don't depend on a version of Unicode. A text with fewer words than a
shingle has is one shingle; a text without words has none. Equal shingles have equal
hashes; different ones collide with a chance of about 2**-64, and that is where the
comparison of documents is not exact. All of it is array operations over many texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# D documents, U units (words or characters) of all documents, S shingles of all

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]
Unit = Literal["words", "characters"]

_PADDING = b" " * 8
_LONG_WORD_BYTES = 64
"""Longer words are hashed one by one: rounds of eight bytes over all words would go on
for a word of megabytes."""

_IS_WORD = np.zeros(256, np.bool_)
_IS_WORD[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"]] = True
_IS_WORD[128:] = True

# Odd constants with well-mixed bits: the golden ratio's, and one of MurmurHash3.
_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xFF51AFD7ED558CCD)
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


def shingle_hashes(
    texts: Sequence[bytes], unit: Unit, size: int
) -> tuple[Hashes, Counts]:
    """Hash all shingles of some texts.

    Args:
        texts: UTF-8.
        unit: What a shingle is a run of.
        size: Units in a shingle.

    Returns:
        The hashes of all texts one after another, repeated where a shingle is; and
        where each text's begin, with the end of all behind them: D + 1.
    """
    if unit == "words":
        units_U, counts_D = _words(texts)
    else:
        units_U, counts_D = _characters(texts)
    return _runs(units_U, counts_D, size)


def distinct(hashes_S: Hashes) -> Hashes:
    """Return the set of one text's shingles, sorted."""
    return np.unique(hashes_S)


def num_shared(one: Hashes, other: Hashes) -> int:
    """Count what two sets of shingles share, exactly.

    Args:
        one: Sorted, without repetition.
        other: The same.
    """
    small, large = (one, other) if len(one) <= len(other) else (other, one)
    if not len(small):
        return 0
    places = np.searchsorted(large, small)
    places[places == len(large)] = 0
    return int(np.count_nonzero(large[places] == small))


def mix(hashes: Hashes, values: Hashes) -> Hashes:
    """Take values into running hashes, in order; both are of one length."""
    mixed = hashes ^ values
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(32)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(29)
    return mixed


def _words(texts: Sequence[bytes]) -> tuple[Hashes, Counts]:
    """Return the hashes of all words, and how many each text has."""
    buffer = b"".join((b" ", b" ".join(texts), _PADDING))
    is_word = _IS_WORD[np.frombuffer(buffer, np.uint8)]
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    starts_U, stops_U = edges[::2], edges[1::2]
    ends_D = np.cumsum([len(text) + 1 for text in texts])
    counts_D = np.diff(np.searchsorted(starts_U, ends_D), prepend=0)
    return _word_hashes(buffer, starts_U, stops_U), counts_D


def _word_hashes(buffer: bytes, starts_U: Counts, stops_U: Counts) -> Hashes:
    at_each_byte = np.ndarray(
        (len(buffer) - 7,), np.dtype("<u8"), buffer=buffer, strides=(1,)
    )
    lengths_U = stops_U - starts_U
    hashes_U: Hashes = lengths_U.astype(np.uint64) * _SECOND
    active = np.flatnonzero(lengths_U <= _LONG_WORD_BYTES)
    done = 0
    while len(active):
        left = np.minimum(lengths_U[active] - done, 8)
        values = at_each_byte[starts_U[active] + done] & _MASKS[left]
        hashes_U[active] = mix(hashes_U[active], values)
        done += 8
        active = active[lengths_U[active] > done]
    for word in np.flatnonzero(lengths_U > _LONG_WORD_BYTES):
        found = buffer[starts_U[word] : stops_U[word]]
        digest = hashlib.blake2b(found, digest_size=8).digest()
        hashes_U[word] = int.from_bytes(digest, "little")
    return hashes_U


def _characters(texts: Sequence[bytes]) -> tuple[Hashes, Counts]:
    """Return all code points, and how many each text has."""
    decoded = [text.decode("utf-8") for text in texts]
    points = np.frombuffer("".join(decoded).encode("utf-32-le"), "<u4")
    counts_D = np.array([len(text) for text in decoded], np.int64)
    return points.astype(np.uint64), counts_D


def _runs(units_U: Hashes, counts_D: Counts, size: int) -> tuple[Hashes, Counts]:
    """Hash all runs of units within a text."""
    stops_D = np.cumsum(counts_D)
    starts_D = stops_D - counts_D
    values_U = np.zeros(len(units_U), np.uint64)
    num_runs = len(units_U) - size + 1
    if num_runs > 0:
        values_U[:num_runs] = _run_hashes(units_U, np.arange(num_runs), size)
    # A run that begins among the last units of a text would go on in the next one.
    is_run_U = np.ones(len(units_U), np.bool_)
    for back in range(1, size):
        is_run_U[(stops_D - back)[counts_D >= back]] = False
    for length in np.unique(counts_D[(counts_D > 0) & (counts_D < size)]):
        starts = starts_D[counts_D == length]
        values_U[starts] = _run_hashes(units_U, starts, int(length))
        is_run_U[starts] = True
    runs_D = np.maximum(counts_D - size + 1, np.minimum(counts_D, 1))
    offsets = np.concatenate([[0], np.cumsum(runs_D)])
    return values_U[is_run_U], offsets


def _run_hashes(units_U: Hashes, starts: Counts, length: int) -> Hashes:
    hashes = np.full(len(starts), length, np.uint64)
    for place in range(length):
        hashes = mix(hashes, units_U[starts + place])
    return hashes
