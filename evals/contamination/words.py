"""Text as words: what counts as the same text when questions are looked for.

NFKC, then full case folding; format characters such as the soft hyphen vanish; runs of
letters, marks and numbers are words, and everything else separates them. So case,
punctuation, white space and the underscores of identifiers make no difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.contamination.characters import SPACE, normalise

# W words of one buffer

PADDING = b" " * 8
"""Around every buffer: words can be read as their first and last eight bytes."""

_BLOCK = 2**21
"""Bytes, or words, that are looked at together: enough to make calls cheap."""
# Odd constants with well-mixed bits: the golden ratio's, and those of MurmurHash3.
_FIRST = np.uint64(0x9E3779B97F4A7C15)
_LAST = np.uint64(0xFF51AFD7ED558CCD)
_LENGTH = np.uint64(0xC4CEB9FE1A85EC53)

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


def words_of(text: str) -> list[bytes]:
    """Return the words of a text.

    >>> words_of("def has_close(x):")
    [b'def', b'has', b'close', b'x']
    """
    return normalise(text.encode("utf-8", "replace")).split()


@dataclass(frozen=True)
class Words:
    """The words of a buffer, by their places."""

    buffer: bytes
    """Normalised text between padding."""
    starts_W: Places
    stops_W: Places
    hashes_W: Hashes
    """Equal words have equal hashes; the reverse is left to whoever compares them."""

    def __len__(self) -> int:
        return len(self.starts_W)

    def between(self, start: int, stop: int) -> list[bytes]:
        """Return some of the words themselves."""
        starts, stops = self.starts_W[start:stop], self.stops_W[start:stop]
        spans = zip(starts.tolist(), stops.tolist(), strict=True)
        return [self.buffer[first:last] for first, last in spans]


def find_words(normalised: bytes) -> Words:
    """Find the words of a normalised text, block after block to save memory."""
    buffer = b"".join((PADDING, normalised, PADDING))
    is_word = np.frombuffer(buffer, np.uint8) != SPACE
    starts = range(0, len(buffer) - 1, _BLOCK)
    found = [_edges(is_word[start : start + _BLOCK + 1]) + start for start in starts]
    edges = np.concatenate(found)
    starts_W, stops_W = edges[::2], edges[1::2]
    hashes_W = np.empty(len(starts_W), np.uint64)
    for start in range(0, len(starts_W), _BLOCK):
        block = slice(start, start + _BLOCK)
        hashes_W[block] = _word_hashes(buffer, starts_W[block], stops_W[block])
    return Words(buffer, starts_W, stops_W, hashes_W)


class Runs:
    """Hashes of runs of words of some lengths, made of shorter runs when asked for.

    A run is covered by two, perhaps overlapping, runs of a power of two of words, and
    those are made of two halves each.
    """

    def __init__(self, hashes_W: Hashes):
        """Start with runs of one word."""
        self._powers = [hashes_W]
        self.num_words = len(hashes_W)

    def of(self, length: int) -> Hashes:
        """Return the hash of the run of so many words that begins at each word."""
        power, rest = self._cover(length)
        if not rest:
            return power
        return _joined(power[: max(0, len(power) - rest)], power[rest:])

    def at(self, places: Places, length: int) -> Hashes:
        """Return the hashes of the runs that begin at these words."""
        power, rest = self._cover(length)
        first: Hashes = power[places]
        return _joined(first, power[places + rest]) if rest else first

    def _cover(self, length: int) -> tuple[Hashes, int]:
        """Return runs of a power of two, and how far apart two of them begin."""
        exponent = length.bit_length() - 1
        while len(self._powers) <= exponent:
            last = self._powers[-1]
            half = 1 << len(self._powers) - 1
            self._powers.append(_joined(last[: max(0, len(last) - half)], last[half:]))
        return self._powers[exponent], length - (1 << exponent)


def _edges(is_word: NDArray[np.bool_]) -> Places:
    """Return where words begin and end, in turn."""
    return np.flatnonzero(is_word[1:] != is_word[:-1]) + 1


def _word_hashes(buffer: bytes, starts_W: Places, stops_W: Places) -> Hashes:
    """Hash words by their length and their first and last eight bytes.

    Words that differ only between those collide, which costs a comparison, no more.
    """
    at_each_byte = np.ndarray(
        (len(buffer) - 7,), np.dtype("<u8"), buffer=buffer, strides=(1,)
    )
    lengths_W = stops_W - starts_W
    shown_W = np.minimum(lengths_W, 9)
    first_W = at_each_byte[starts_W] & _FIRST_MASKS[shown_W]
    last_W = at_each_byte[stops_W - 8] & _LAST_MASKS[shown_W]
    mixed_W: Hashes = first_W * _FIRST
    mixed_W ^= last_W * _LAST
    mixed_W += lengths_W.view(np.uint64) * _LENGTH
    mixed_W ^= mixed_W >> np.uint64(29)
    mixed_W *= _LAST
    mixed_W ^= mixed_W >> np.uint64(32)
    return mixed_W


def _joined(left: Hashes, right: Hashes) -> Hashes:
    mixed = left * _FIRST
    mixed += right
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _masks(all_from: int) -> Hashes:
    """Return what of eight bytes belongs to words of 0 to 9 bytes."""
    return np.array(
        [
            0 if length < all_from else (1 << 8 * min(length, 8)) - 1
            for length in range(10)
        ],
        np.uint64,
    )


_FIRST_MASKS = _masks(0)
_LAST_MASKS = _masks(9)
