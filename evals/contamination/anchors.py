"""Finding where questions may occur: tables of the short runs of words they hold.

Every needle that is looked for by runs of words holds anchors: runs of A words, A at
most N. Where no anchor is, none of its runs is. So a text is scanned for anchors alone,
a few array operations per million words, and only what is there is compared in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.contamination.needles import (
    MIN_WHOLE_WORDS,
    SHORTEST_NGRAM,
    QuestionIndex,
)
from evals.contamination.words import Hashes, Places, Runs, find_words

_MIN_FILTER_BITS, _MAX_FILTER_BITS = 16, 25
_FILTER_PLACES_PER_HASH = 16


@dataclass(frozen=True)
class SoughtNeedle:
    """A needle, ready to be compared."""

    number: int
    """Its place among all needles."""
    task: int
    """Place of its task in the index."""
    question: str
    is_whole: bool
    ngram: int
    """Words in a row that count as found: all of them for a whole text."""
    words: tuple[bytes, ...]
    answers: tuple[bytes, ...]


def anchor_of(ngram: int) -> int:
    """Return the words of an anchor: matches down to it are measured."""
    return min(ngram, SHORTEST_NGRAM)


def sought_needles(index: QuestionIndex) -> list[SoughtNeedle]:
    """Make the needles of an index ready, in their order."""
    sought: list[SoughtNeedle] = []
    places = {task.name: place for place, task in enumerate(index.tasks)}
    for number, (task, needle) in enumerate(index.needles()):
        words = tuple(needle.words.encode().split(b" "))
        sought.append(
            SoughtNeedle(
                number=number,
                task=places[task.name],
                question=needle.question,
                is_whole=needle.kind == "whole",
                ngram=len(words) if needle.kind == "whole" else task.ngram,
                words=words,
                answers=tuple(answer.encode() for answer in needle.answers),
            )
        )
    return sought


class HashTable:
    """A set of hashes that a whole array is looked up in at once.

    A Bloom filter of two probes answers almost all of it; the rest is searched for.
    """

    def __init__(self, hashes: Hashes):
        """Take the hashes, sorted."""
        self._hashes = hashes
        wanted = (_FILTER_PLACES_PER_HASH * max(1, len(hashes))).bit_length()
        bits = min(max(wanted, _MIN_FILTER_BITS), _MAX_FILTER_BITS)
        self._shift = np.uint64(64 - bits)
        self._mask = np.uint64(2**bits - 1)
        self._filter = np.zeros(2**bits, np.bool_)
        self._filter[self._first_probe(hashes)] = True
        self._filter[self._second_probe(hashes)] = True

    def find(self, hashes: Hashes) -> Places:
        """Return where the hashes are that it holds."""
        maybe = np.flatnonzero(self._filter[self._first_probe(hashes)])
        maybe = maybe[self._filter[self._second_probe(hashes[maybe])]]
        found = hashes[maybe]
        places = np.minimum(self._hashes.searchsorted(found), len(self._hashes) - 1)
        known: Places = maybe[self._hashes[places] == found]
        return known

    # As signed numbers: numpy converts any other index first, at twice the time.

    def _first_probe(self, hashes: Hashes) -> NDArray[np.int64]:
        return (hashes >> self._shift).view(np.int64)

    def _second_probe(self, hashes: Hashes) -> NDArray[np.int64]:
        return (hashes & self._mask).view(np.int64)


class AnchorTable:
    """The anchors of one length, with the needles that hold them."""

    def __init__(self, length: int, needles: Sequence[SoughtNeedle]):
        """Index needles, each of at least `length` words."""
        self.length = length
        self.longest = max(len(needle.words) for needle in needles)
        self._needles = needles
        counts = np.array([len(needle.words) for needle in needles])
        anchors = counts - length + 1
        needle = np.repeat(np.arange(len(counts)), anchors)
        first = np.repeat(np.cumsum(anchors) - anchors, anchors)
        offset = np.arange(len(needle)) - first
        hashes = _hashes_of(needles).of(length)
        hashes = hashes[(np.cumsum(counts) - counts)[needle] + offset]
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._needle, self._offset = needle[order], offset[order]
        self._table = HashTable(self._hashes)

    def find(self, runs: Runs) -> Places:
        """Return where in a text anchors begin."""
        return self._table.find(runs.of(self.length))

    def holders(self, runs: Runs) -> list[list[tuple[SoughtNeedle, int]]]:
        """Return which needles may go on at each place of a text, and from where."""
        wanted = runs.of(self.length)
        lows = self._hashes.searchsorted(wanted, "left").tolist()
        highs = self._hashes.searchsorted(wanted, "right").tolist()
        return [
            [
                (self._needles[self._needle[at]], int(self._offset[at]))
                for at in range(low, high)
            ]
            for low, high in zip(lows, highs, strict=True)
        ]


class WholeTable:
    """Whole texts: found by their first words, then by the hash of them all."""

    def __init__(self, needles: Sequence[SoughtNeedle]):
        """Index needles, each of at least `MIN_WHOLE_WORDS` words."""
        lengths = np.array([len(needle.words) for needle in needles])
        self.longest = int(lengths.max())
        starts = np.cumsum(lengths) - lengths
        runs = _hashes_of(needles)
        self._first = HashTable(np.sort(runs.at(starts, MIN_WHOLE_WORDS)))
        self._by_length = {
            length: np.sort(runs.at(starts[lengths == length], length))
            for length in sorted(set(lengths.tolist()))
        }

    def find(self, runs: Runs) -> list[tuple[int, int]]:
        """Return where in a text whole needles may be, and of how many words."""
        begins = self._first.find(runs.of(MIN_WHOLE_WORDS))
        found: list[tuple[int, int]] = []
        for length, hashes in self._by_length.items():
            places = begins[begins <= runs.num_words - length]
            is_there = np.isin(runs.at(places, length), hashes)
            found += [(place, length) for place in places[is_there].tolist()]
        return found


def _hashes_of(needles: Sequence[SoughtNeedle]) -> Runs:
    """Hash the words of needles, one needle after another."""
    text = b" ".join(b" ".join(needle.words) for needle in needles)
    return Runs(find_words(text).hashes_W)
