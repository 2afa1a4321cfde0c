"""From the findings of shards to what they say of questions and of documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from evals.contamination.collect import Scan
from evals.contamination.matches import Match, Matcher
from evals.contamination.report import (
    COMMON_DOCUMENTS,
    MAX_EVIDENCE_WORDS,
    Evidence,
    OverlappingDocument,
)
from evals.contamination.scan import Findings, FoundDocument
from evals.contamination.trained import TrainedTokens

Question = tuple[int, str]
"""Place of the task in the index, index of the row."""

Gram = tuple[int, str]
"""Number of words that count as found, and those words."""


@dataclass
class QuestionTally:
    """What was found of one question."""

    longest: int = 0
    evidence: Evidence | None = None
    by_ngram: set[str] = field(default_factory=set)
    """Sources in which N words in a row of it are found."""
    by_whole: set[str] = field(default_factory=set)
    """Sources in which a text of it is found whole that has fewer words."""
    uncommon: set[str] = field(default_factory=set)
    """Sources in which words that are not common are found of it."""
    answered: set[str] = field(default_factory=set)
    """Sources in which it is found with a right answer near."""

    @property
    def found(self) -> set[str]:
        """Sources that it is found in."""
        return self.by_ngram | self.by_whole


class Tally:
    """Adds up what was found in all sources."""

    def __init__(self, scan: Scan, trained: Mapping[str, TrainedTokens]):
        """Take what was found.

        Args:
            scan: Of all sources.
            trained: Source -> what the plan reads of it; sources that are not in it
                count whole.
        """
        self.scan = scan
        self.trained = trained
        self.index = scan.index
        self._matcher = Matcher(scan.index)

    @cached_property
    def questions(self) -> dict[Question, QuestionTally]:
        """What was found of each question that anything was found of."""
        tallies: dict[Question, QuestionTally] = {}
        for source, findings, documents in self._shards():
            first: dict[int, FoundDocument] = {}
            for document in documents:
                for passage in document.passages:
                    first.setdefault(passage, document)
            for passage, document in first.items():
                anchor, text = findings.passages[passage]
                for match in self._matches(anchor, text):
                    tally = tallies.setdefault(_question(match), QuestionTally())
                    self._add(tally, match, text, source, document)
            for number in {one for found in documents for one in found.answered}:
                needle = self._matcher.needles[number]
                tallies[needle.task, needle.question].answered.add(source)
        return tallies

    def documents(self) -> Iterator[OverlappingDocument]:
        """Yield the documents that questions are found in."""
        for source, findings, documents in self._shards():
            for document in documents:
                passages = [findings.passages[number] for number in document.passages]
                found = [
                    (match, text)
                    for anchor, text in passages
                    for match in self._matches(anchor, text)
                    if match.is_found
                ]
                if found:
                    yield self._overlapping(source, document, found)

    def _overlapping(
        self, source: str, document: FoundDocument, found: list[tuple[Match, str]]
    ) -> OverlappingDocument:
        tasks: dict[str, set[str]] = {}
        for match, _ in found:
            name = self.index.tasks[match.needle.task].name
            tasks.setdefault(name, set()).add(match.needle.question)
        return OverlappingDocument(
            source=source,
            file=document.file,
            number=document.number,
            text_sha256=document.text_sha256,
            longest=max(match.num_words for match, _ in found),
            tasks={
                name: tuple(sorted(questions, key=int))
                for name, questions in sorted(tasks.items())
            },
            is_common=all(self._is_common(match, text) for match, text in found),
        )

    @cached_property
    def _documents_of(self) -> Counter[Gram]:
        """How many documents hold what counts as found."""
        counts: Counter[Gram] = Counter()
        for _, findings, documents in self._shards():
            # Documents that hold the same passages hold the same of everything.
            alike = Counter(document.passages for document in documents)
            for passages, num_documents in alike.items():
                held = {
                    gram
                    for passage in passages
                    for gram in self._grams(*findings.passages[passage])
                }
                for gram in held:
                    counts[gram] += num_documents
        return counts

    def _shards(self) -> Iterator[tuple[str, Findings, list[FoundDocument]]]:
        """Yield source, findings and documents that are trained on of each shard."""
        for source in self.scan.sources:
            trained = self.trained.get(source.source)
            for shard, findings in self.scan.findings(source):
                documents = [
                    document
                    for document in findings.found
                    if trained is None or trained.has_document(shard, document.place)
                ]
                # Shards of a store are in a keyed order; people look for the first.
                documents.sort(key=lambda one: (one.file, one.number))
                yield source.source, findings, documents

    def _add(
        self,
        tally: QuestionTally,
        match: Match,
        text: str,
        source: str,
        document: FoundDocument,
    ) -> None:
        if match.is_found:
            kinds = tally.by_whole if match.needle.is_whole else tally.by_ngram
            kinds.add(source)
            if source not in tally.uncommon and not self._is_common(match, text):
                tally.uncommon.add(source)
        shown = text.split(" ")[match.start :][
            : min(match.num_words, MAX_EVIDENCE_WORDS)
        ]
        evidence = Evidence(
            words=" ".join(shown),
            source=source,
            file=document.file,
            number=document.number,
        )
        if tally.evidence is None or _rank(match.num_words, evidence) < _rank(
            tally.longest, tally.evidence
        ):
            tally.longest, tally.evidence = match.num_words, evidence

    def _is_common(self, match: Match, text: str) -> bool:
        """Tell whether each of the runs of a match that count is common."""
        return all(
            self._documents_of[gram] > COMMON_DOCUMENTS for gram in _grams(match, text)
        )

    def _matches(self, anchor: int, text: str) -> tuple[Match, ...]:
        return self._matcher.matches(anchor, text.encode())

    def _grams(self, anchor: int, text: str) -> Iterable[Gram]:
        for match in self._matches(anchor, text):
            if match.is_found:
                yield from _grams(match, text)


def _question(match: Match) -> Question:
    return match.needle.task, match.needle.question


def _grams(match: Match, text: str) -> Iterator[Gram]:
    words = text.split(" ")
    length = match.needle.ngram
    stop = match.start + match.num_words - length + 1
    for place in range(match.start, stop):
        yield length, " ".join(words[place : place + length])


def _rank(longest: int, evidence: Evidence) -> tuple[int, str, str, int, str]:
    """Order evidence: the longest match first, then the first document."""
    place = (evidence.source, evidence.file, evidence.number, evidence.words)
    return (-longest, *place)
