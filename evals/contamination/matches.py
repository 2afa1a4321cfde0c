"""From places that may hold a question to what they hold, compared word by word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.contamination.anchors import (
    AnchorTable,
    SoughtNeedle,
    WholeTable,
    anchor_of,
    sought_needles,
)
from evals.contamination.needles import QuestionIndex
from evals.contamination.words import Runs, find_words

WHOLE = 0
"""Stands for the length of anchors where a passage is a whole text."""

_MAX_KNOWN = 2**15


@dataclass(frozen=True, slots=True)
class Match:
    """Words that a passage and a needle share, as many as there are."""

    needle: SoughtNeedle
    start: int
    """First word, counted in the passage."""
    num_words: int

    @property
    def is_found(self) -> bool:
        """Whether it is long enough to count."""
        return self.num_words >= self.needle.ngram


class Matcher:
    """Compares passages with the needles of an index."""

    def __init__(self, index: QuestionIndex):
        """Build the tables of an index."""
        self.needles = sought_needles(index)
        self.longest = max((len(needle.words) for needle in self.needles), default=0)
        by_anchor: dict[int, list[SoughtNeedle]] = {}
        whole: list[SoughtNeedle] = []
        for sought, (_, needle) in zip(self.needles, index.needles(), strict=True):
            if needle.kind == "whole":
                whole.append(sought)
            else:
                by_anchor.setdefault(anchor_of(sought.ngram), []).append(sought)
        self.tables = {
            length: AnchorTable(length, needles)
            for length, needles in sorted(by_anchor.items())
        }
        self.whole = WholeTable(whole) if whole else None
        self._whole_by_text: dict[bytes, list[SoughtNeedle]] = {}
        for sought in whole:
            self._whole_by_text.setdefault(b" ".join(sought.words), []).append(sought)
        self._known: dict[tuple[int, bytes], tuple[Match, ...]] = {}

    def matches(self, anchor: int, text: bytes) -> tuple[Match, ...]:
        """Return what needles share with a passage.

        Args:
            anchor: Words of the anchors that the passage was found by, or `WHOLE`.
            text: Words with single spaces. The same passages come again and again, so
                the last ones are remembered.
        """
        known = self._known.get((anchor, text))
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = tuple(self._compare(anchor, text))
            self._known[anchor, text] = known
        return known

    def _compare(self, anchor: int, text: bytes) -> Iterator[Match]:
        words = text.split(b" ")
        if anchor == WHOLE:
            for needle in self._whole_by_text.get(text, ()):
                yield Match(needle, 0, len(words))
            return
        runs = Runs(find_words(text).hashes_W)
        for place, holders in enumerate(self.tables[anchor].holders(runs)):
            for needle, offset in holders:
                if place and offset and words[place - 1] == needle.words[offset - 1]:
                    continue  # Part of a match that began further to the left.
                num_words = _shared(words, place, needle.words, offset)
                if num_words >= anchor:
                    yield Match(needle, place, num_words)


def _shared(
    words: Sequence[bytes], place: int, other: Sequence[bytes], offset: int
) -> int:
    """Count the words that go on the same from two places."""
    most = min(len(words) - place, len(other) - offset)
    for count in range(most):
        if words[place + count] != other[offset + count]:
            return count
    return most
