"""What was found of every task in every source."""

from __future__ import annotations

from typing import Literal

from evals.contamination.jobs import ReadFrom
from evals.contamination.needles import Kind
from specs.base import Value

COMMON_DOCUMENTS = 10
"""Words that more training documents hold are common: boilerplate, not a question that
leaked. GPT-3 drew the line here too (Brown et al., 2020, appendix C)."""

MAX_EVIDENCE_WORDS = 40


class Evidence(Value):
    """Where a question was found best."""

    words: str
    """What is shared, as words; at most `MAX_EVIDENCE_WORDS` of it."""
    source: str
    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1."""


class QuestionOverlap(Value):
    """What training text shares with one question."""

    question: str
    """Index of its row, as in `QuestionResult`."""
    kind: Kind
    """By what it was found: N words in a row, or else all of a shorter text."""
    is_found: bool
    """Whether it was; otherwise only shorter matches were."""
    is_common: bool
    """Whether all that was found of it is in more than `COMMON_DOCUMENTS` documents."""
    is_answer_near: bool
    """Whether one of its right answers was near, within the same document."""
    longest: int
    """Most words in a row that a document shares with it."""
    sources: tuple[str, ...]
    """Where it was found; empty where only shorter matches are."""
    evidence: Evidence
    """Of the longest match."""


class OverlapCounts(Value):
    """How many questions of a task were found."""

    found: int
    """Questions that overlap, by either kind."""
    share: float
    """Of all questions, the too short ones included."""
    ngram: int
    """Found by N words in a row."""
    whole: int
    """Found by the whole of a shorter text, and not by N words."""
    common: int
    """Of `found`, those of which nothing but common words was found."""
    answer_near: int
    """Of `found`, those with a right answer near."""


class TaskOverlap(Value):
    """What was found of one task."""

    task: str
    data: str | None
    """Digest of its rows, as the task is pinned."""
    ngram: int
    """Words in a row that count as found."""
    is_ngram_given: bool
    """Whether the task says so; otherwise by the lengths of its questions."""
    questions: int
    by_ngram: int
    """Questions looked for by N words in a row."""
    by_whole: int
    """Questions without so long a text, looked for by a whole one."""
    too_short: tuple[str, ...]
    """Questions that can't be looked for: nothing is known of them."""
    sources: dict[str, OverlapCounts]
    together: OverlapCounts
    """In any source."""
    overlaps: tuple[QuestionOverlap, ...]
    """Of each question that anything was found of, in the order of the rows."""


class ScannedSource(Value):
    """What was looked at of one source."""

    read_from: ReadFrom
    documents: int
    """Documents of its training split."""
    text_bytes: int
    corrupt: int
    """Lines or rows that were skipped."""
    trained_share: float | None
    """Share of its tokens that the plan reaches; documents beyond are not counted as
    overlapping. Null: it was read as text, and all of it counts."""


class Contamination(Value):
    """Which questions of some tasks are in the training text of a spec."""

    contamination: Literal[1] = 1
    """Version of this document."""
    index: str
    """Digest of the questions as they were looked for."""
    normalisation: str
    """Rules by which text becomes words."""
    common_documents: int = COMMON_DOCUMENTS
    sources: dict[str, ScannedSource]
    tasks: tuple[TaskOverlap, ...]
    not_looked_for: tuple[str, ...]
    """Tasks whose declarations have no `contamination`: nothing is known of them."""

    def task(self, name: str) -> TaskOverlap | None:
        """Return what was found of a task; None if it was not looked for."""
        return next((task for task in self.tasks if task.task == name), None)


class OverlappingDocument(Value):
    """A training document that questions are found in."""

    source: str
    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1."""
    text_sha256: str
    """SHA-256 of its text as it was read, UTF-8."""
    longest: int
    """Words of the longest match."""
    tasks: dict[str, tuple[str, ...]]
    """Task -> its questions that are found in it."""
    is_common: bool
    """Whether all that was found in it is in more than `COMMON_DOCUMENTS` documents."""
