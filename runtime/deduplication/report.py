"""What deduplication did: per source and reason, and the largest clusters."""

from __future__ import annotations

from typing import Literal

from specs.base import Value


class Removed(Value):
    """Documents dropped for one reason."""

    documents: int
    bytes: int
    """Of their text, UTF-8."""
    like_heldout: int
    """Training documents among them that are dropped for a held-out one."""


class DeduplicatedSource(Value):
    """What became of one source."""

    source: str
    documents: int
    """That passed the filters, in both splits."""
    bytes: int
    removed: dict[str, Removed]
    """Reason, as in the store's manifest -> what it dropped."""


class Place(Value):
    """Where a document comes from."""

    source: str
    file: str
    number: int
    """Line or row, counted from 1."""
    split: Literal["train", "heldout"]


class Pair(Value):
    """A dropped document and the one that it is like."""

    dropped: Place
    like: Place
    shared: int | None
    """Shingles that both have; null where the texts are the same."""
    either: int | None
    """Shingles that either has: the similarity is `shared / either`."""


class OverlapSample(Value):
    """A document that was dropped for a question."""

    dropped: Place
    question: str
    """Index of its row."""
    words: int
    """Of the longest match in the document."""


class Cluster(Value):
    """A kept document and what was dropped for it."""

    kept: Place
    documents: int
    """Dropped."""
    bytes: int
    samples: tuple[Pair, ...]


class KeptOutTask(Value):
    """A benchmark task whose questions were looked for."""

    task: str
    documents: int
    """Training documents that were dropped for it."""
    questions: int
    """Its questions that were found in them."""
    samples: tuple[OverlapSample, ...]


class Deduplicated(Value):
    """What was done for all listed sources."""

    deduplicated: Literal[1] = 1
    """Version of this document."""
    identity: str
    sources: tuple[DeduplicatedSource, ...]
    """In the order of the rule."""
    clusters: tuple[Cluster, ...]
    """The largest, by documents dropped."""
    benchmarks: tuple[KeptOutTask, ...] = ()
    """By name; empty where none is kept out."""
