"""Deduplication: which documents of which sources are kept once.

Filters come first. Then the documents of the listed sources are gone through in one
order: source by source as listed, within a source the held-out documents first, then
file by file and row by row. A document that an earlier, kept one makes a duplicate is
dropped. So what is kept of a source depends on the sources before it alone, and no
training document that is kept is a duplicate of a held-out one. See
docs/deduplication.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from specs.base import SpecValue
from specs.data import Name
from specs.quantities import MAX_COUNT, RuleVersion, Share, Whole
from specs.rules import Broken, broken, raise_broken

SMALLEST_THRESHOLD = 0.3
"""Below it hashing tells hardly anything apart: nearly all pairs would be compared."""

RECALL = Fraction(99, 100)
"""Least chance that a pair exactly at the threshold is compared."""


class NearDuplicates(SpecValue):
    """When a document is nearly the same as another."""

    threshold: Annotated[Share, Field(ge=SMALLEST_THRESHOLD, examples=["80%"])]
    """Smallest Jaccard similarity that counts: shingles that both documents have,
    divided by those that either has, compared exactly."""

    shingle: Literal["words", "characters"] = "words"
    """What a shingle is a run of. Words are runs of ASCII letters, digits, underscores
    and all characters beyond ASCII; the rest separates them."""

    size: Annotated[Whole, Field(le=64)] = 5
    """Words or characters in a shingle. A shorter document is one shingle; one without
    any word is never nearly the same as another."""

    permutations: Annotated[Whole, Field(ge=16, le=1024)] = 128
    """Numbers in a MinHash signature, which finds the pairs to compare: with more of
    them, fewer pairs are missed or compared in vain, and signatures take longer."""

    seed: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 1
    """Of the signatures. It is not the experiment's: repeats with other seeds train on
    the same documents."""

    version: RuleVersion = 1
    """Of the rule."""


class KeptOutBenchmarks(SpecValue):
    """Benchmarks whose questions are kept out of the training text."""

    suites: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(strict=False, examples=[["nl-reasoning"]]),
    ] = ()
    """Names of suites that come with codemix: all their tasks."""

    tasks: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(strict=False, examples=[["boolq", "tasks/mine.yaml"]]),
    ] = ()
    """Names of tasks that come with codemix, and YAML files of the workspace; each must
    say by `contamination` how it is looked for."""

    ngram: Annotated[int, Field(ge=3, le=64)] | None = None
    """Words in a row that a document may not share with a question; null: what each
    task says, or 8 to 13 by the length of its questions."""

    version: RuleVersion = 1
    """Of the rule."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.suites and not self.tasks:
            what = "must name at least one suite or task"
            raise broken(what, "write for instance {suites: [nl-reasoning]}")
        return self


def _is_absent(value: object) -> bool:
    return value is None


class Deduplication(SpecValue):
    """Keeps one of several documents that are the same, or nearly."""

    sources: Annotated[
        tuple[Name, ...],
        Field(strict=False, json_schema_extra={"minItems": 1, "uniqueItems": True}),
        Field(examples=[["quality", "web"]]),
    ]
    """Who keeps a document that several have: the source that is listed first; within
    it the first document, held-out ones before the others. Sources that are not listed
    stay as they are."""

    exact: bool = True
    """Whether a document with the same text as an earlier one is dropped."""

    normalise: Literal["none", "whitespace"] = "none"
    """What is done to a text before it is compared: nothing, or runs of ASCII white
    space become one space, and what of it is at the ends is left out."""

    near: NearDuplicates | None = None
    """Whether documents that are nearly the same are dropped too; null: they stay."""

    benchmarks: Annotated[KeptOutBenchmarks | None, Field(exclude_if=_is_absent)] = None
    """Whether training documents that hold questions of benchmarks are dropped; they
    are dropped first, and make no other document a duplicate."""

    version: RuleVersion = 1
    """Of the rule."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        raise_broken(list(self._broken()))
        return self

    def _broken(self) -> Iterator[Broken]:
        if not self.sources:
            what = "must name at least one source"
            yield Broken(what, "write for instance [quality, web]", ("sources",))
        for index, name in enumerate(self.sources):
            if name in self.sources[:index]:
                what = f"must be unique, {name!r} is there before"
                yield Broken(what, "delete it", ("sources", index))
        if not self.exact and self.near is None and self.benchmarks is None:
            what = "must be true where nothing else is looked for, got false"
            fix = "set it to true, add near, or delete deduplicate"
            yield Broken(what, fix, ("exact",))


def bands_of(threshold: str, permutations: int) -> tuple[int, int]:
    """Divide a signature into bands; documents that share one whole are compared.

    A band of r numbers is shared with chance s**r at a similarity s, so any of b bands
    with 1 - (1 - s**r)**b. Of all r, the largest is taken that finds a pair at the
    threshold with a chance of `RECALL`: longer bands compare fewer pairs in vain.

    Args:
        threshold: Similarity, a decimal number.
        permutations: Numbers in the signature; what is left over goes unused.

    Returns:
        Bands, and numbers in each.

    >>> bands_of("0.8", 128), bands_of("0.5", 128), bands_of("0.9", 256)
    ((21, 6), (42, 3), (18, 14))
    """
    similarity = Fraction(Decimal(threshold))
    rows = max(
        rows
        for rows in range(1, permutations + 1)
        if 1 - (1 - similarity**rows) ** (permutations // rows) >= RECALL
    )
    return permutations // rows, rows
