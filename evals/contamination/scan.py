"""One pass over documents: which passages of them questions share.

A passage is as many words of one document as anchors follow each other on; so it holds
every match there whole. Findings name passages by their words, which makes them the
same however documents are batched, and small where a text occurs in each of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.contamination.characters import normalise
from evals.contamination.matches import WHOLE, Matcher
from evals.contamination.needles import QuestionIndex
from evals.contamination.words import (
    PADDING,
    Places,
    Runs,
    find_words,
)
from specs.base import Value

SCAN_VERSION = 1
"""Raised when the same text and questions could give other findings."""

ANSWER_WINDOW_WORDS = 50
"""How far from a question its answer counts as near, on either side."""

BATCH_BYTES = 2**20
"""Text that is looked at together: enough to make calls cheap, within caches."""

BLOCK_WORDS = 2**19


@dataclass(frozen=True, slots=True)
class Scanned:
    """A document to be scanned."""

    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1."""
    text: bytes
    """UTF-8."""


class FoundDocument(Value):
    """A document that shares passages with questions."""

    file: str
    number: int
    place: int
    """Counted among the documents of its shard, from 0."""
    text_sha256: str
    """SHA-256 of its text as it was scanned, UTF-8."""
    passages: tuple[int, ...]
    """Places among the passages of the shard."""
    answered: tuple[int, ...]
    """Numbers of needles that are found in it with an answer near."""


class Findings(Value):
    """What was found in one shard."""

    documents: int
    """Documents scanned."""
    text_bytes: int
    """UTF-8 bytes of their text."""
    corrupt: int = 0
    """Lines or rows that hold no document and were skipped."""
    passages: tuple[tuple[int, str], ...]
    """Words of the anchors that it was found by, 0 for a whole text; its words."""
    found: tuple[FoundDocument, ...]


class Scanner:
    """Looks for the needles of one index."""

    def __init__(self, index: QuestionIndex):
        """Build the tables of an index."""
        self._matcher = Matcher(index)

    def scan(
        self, documents: Iterable[Scanned], report: Callable[[int], None] | None = None
    ) -> Findings:
        """Scan documents in one pass.

        Args:
            documents: Looked at one batch at a time.
            report: Told how many bytes of text are done.
        """
        shard = _Shard()
        for batch in _batches(documents):
            text = _Batch(batch)
            for passage in self._passages(text):
                self._look_at(passage, text, shard)
            shard.finish(batch)
            if report is not None:
                report(shard.text_bytes)
        return shard.findings()

    def _look_at(self, passage: _Passage, text: _Batch, shard: _Shard) -> None:
        words = text.words.between(passage.start, passage.stop)
        joined = b" ".join(words)
        matches = self._matcher.matches(passage.anchor, joined)
        if not matches:
            return
        document = text.document_at(passage.start)
        shard.add(document, passage.anchor, joined)
        for match in matches:
            if match.is_found and match.needle.answers:
                start = passage.start + match.start
                context = text.around(document, start, start + match.num_words)
                if any(_holds(context, answer) for answer in match.needle.answers):
                    shard.add_answered(document, match.needle.number)

    def _passages(self, text: _Batch) -> Iterator[_Passage]:
        """Yield what may match, the passages of each table in the order of the text."""
        for anchor, table in self._matcher.tables.items():
            found = [start + table.find(runs) for start, runs in text.blocks(anchor)]
            places = (
                np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
            )
            places = places[text.is_within_document(places, anchor)]
            for first, last in _ranges(places):
                yield from _cut(anchor, first, last + anchor, self._matcher.longest)
        whole = self._matcher.whole
        if whole is None:
            return
        for start, runs in text.blocks(whole.longest):
            for place, length in whole.find(runs):
                passage = _Passage(WHOLE, start + place, start + place + length)
                if text.is_within_document(np.array([passage.start]), length)[0]:
                    yield passage


@dataclass(frozen=True, slots=True)
class _Passage:
    """Words of one document that may match."""

    anchor: int
    start: int
    stop: int


class _Batch:
    """The words of some documents, one after another."""

    def __init__(self, documents: list[Scanned]):
        texts = [normalise(document.text) for document in documents]
        self.words = find_words(b" ".join(texts))
        # A space is between documents.
        byte_stops = len(PADDING) + np.cumsum([len(text) + 1 for text in texts])
        self._stops = np.searchsorted(self.words.starts_W, byte_stops)

    def blocks(self, longest: int) -> Iterator[tuple[int, Runs]]:
        """Yield first word and hashes of blocks that overlap by a run of `longest`."""
        for start in range(0, len(self.words), BLOCK_WORDS):
            stop = start + BLOCK_WORDS + longest - 1
            yield start, Runs(self.words.hashes_W[start:stop])

    def is_within_document(self, places: Places, length: int) -> NDArray[np.bool_]:
        """Tell of runs of words whether they are of one document."""
        ends = np.searchsorted(self._stops, places + length - 1, "right")
        is_within: NDArray[np.bool_] = ends == np.searchsorted(
            self._stops, places, "right"
        )
        return is_within

    def document_at(self, word: int) -> int:
        """Return which document a word is of."""
        return int(np.searchsorted(self._stops, word, "right"))

    def around(self, document: int, start: int, stop: int) -> tuple[bytes, bytes]:
        """Return the words before and after some words of a document."""
        first = int(self._stops[document - 1]) if document else 0
        before = self.words.between(max(first, start - ANSWER_WINDOW_WORDS), start)
        last = min(int(self._stops[document]), stop + ANSWER_WINDOW_WORDS)
        return b" ".join(before), b" ".join(self.words.between(stop, last))


class _Shard:
    """What is found, added up."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self._documents = 0
        self._passages: dict[tuple[int, bytes], int] = {}
        self._found: list[FoundDocument] = []
        self._batch: dict[int, set[int]] = {}
        self._answered: dict[int, set[int]] = {}

    def add(self, document: int, anchor: int, text: bytes) -> None:
        """Note a passage of a document of the current batch."""
        place = self._passages.setdefault((anchor, text), len(self._passages))
        self._batch.setdefault(document, set()).add(place)

    def add_answered(self, document: int, needle: int) -> None:
        """Note a needle that is in a document of the current batch with its answer."""
        self._answered.setdefault(document, set()).add(needle)

    def finish(self, batch: list[Scanned]) -> None:
        """Note the documents of the current batch."""
        for index, passages in sorted(self._batch.items()):
            document = batch[index]
            found = FoundDocument(
                file=document.file,
                number=document.number,
                place=self._documents + index,
                text_sha256=hashlib.sha256(document.text).hexdigest(),
                passages=tuple(sorted(passages)),
                answered=tuple(sorted(self._answered.get(index, ()))),
            )
            self._found.append(found)
        self._batch.clear()
        self._answered.clear()
        self._documents += len(batch)
        self.text_bytes += sum(len(document.text) for document in batch)

    def findings(self) -> Findings:
        """Return what was found, passages in the order of their words."""
        in_order = sorted(self._passages)
        places = {self._passages[key]: place for place, key in enumerate(in_order)}
        return Findings(
            documents=self._documents,
            text_bytes=self.text_bytes,
            passages=tuple((anchor, text.decode()) for anchor, text in in_order),
            found=tuple(
                one.model_copy(
                    update={"passages": tuple(sorted(places[n] for n in one.passages))}
                )
                for one in self._found
            ),
        )


def _batches(documents: Iterable[Scanned]) -> Iterator[list[Scanned]]:
    batch: list[Scanned] = []
    num_bytes = 0
    for document in documents:
        batch.append(document)
        num_bytes += len(document.text)
        if num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _ranges(places: Places) -> Iterator[tuple[int, int]]:
    """Yield first and last of each range of places without a gap.

    >>> list(_ranges(np.array([3, 4, 5, 9])))
    [(3, 5), (9, 9)]
    """
    if len(places):
        gaps = np.flatnonzero(np.diff(places) > 1)
        firsts = places[np.concatenate([[0], gaps + 1])]
        lasts = places[np.concatenate([gaps, [len(places) - 1]])]
        yield from zip(firsts.tolist(), lasts.tolist(), strict=True)


def _cut(anchor: int, start: int, stop: int, longest: int) -> Iterator[_Passage]:
    """Cut a passage longer than any needle so that every match is whole in a piece."""
    while stop - start > 2 * longest:
        yield _Passage(anchor, start, start + 2 * longest)
        start += longest
    yield _Passage(anchor, start, stop)


def _holds(context: tuple[bytes, bytes], answer: bytes) -> bool:
    """Tell whether the words of an answer are on either side."""
    wanted = b" %b " % answer
    return any(wanted in b" %b " % side for side in context)
