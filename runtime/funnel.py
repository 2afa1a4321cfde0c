"""What became of the documents of a source, step by step: its funnel.

Every document that was read ends in exactly one step: dropped by a condition or filter,
set aside, or kept in a split. A funnel holds for each step how many they are and how
much text, and a few of them, always the same ones. It lies beside the token store and
is no part of it: a store is the same bytes with or without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from runtime.filters import DocumentFilter
from runtime.splits import SPLITS
from runtime.store_format import Manifest
from specs.base import Value
from specs.canonical import canonical_json
from specs.plan import PlannedSource

CORRUPT = "corrupt"
"""The step of lines and rows that hold no document; they don't count as read."""

RESERVED = "reserved"
"""The step of documents that another source may hold out."""

MAX_SAMPLES = 20
"""Documents of a step that can be shown."""


class Sample(Value):
    """One document of a step."""

    rank: str
    """Its place in the keyed order of texts, 16 hex digits: the smallest are here."""
    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1."""
    text_bytes: int
    """As UTF-8."""
    copies: int
    """Documents of the step with this very text; the first of them is named."""
    measured: str | None
    """What decided against it, in words."""


class Step(Value):
    """The documents that ended in one step."""

    name: str
    documents: int
    text_bytes: int | None
    """As UTF-8; null where no text could be read."""
    tokens: int | None
    """With one EOS per document, what they are or would have been; null as above."""
    tokens_error: int
    """Standard error of `tokens`; 0 if every document was tokenised."""
    is_exact: bool
    """Whether `tokens` was counted, not estimated."""
    samples: tuple[Sample, ...]
    """In the keyed order; no text twice."""


class Funnel(Value):
    """All steps of one source, in the order in which documents come to them."""

    funnel: Literal[1]
    """Version of this document."""
    identity: str
    """Of the token store."""
    source: str
    steps: tuple[Step, ...]

    @property
    def read(self) -> tuple[Step, ...]:
        """The steps of what was read: all but the corrupt."""
        return tuple(step for step in self.steps if step.name != CORRUPT)


_STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])


def steps_to_text(steps: Sequence[Step]) -> str:
    """Write the steps of a shard as canonical JSON."""
    return canonical_json([step.to_json() for step in steps]).decode()


def steps_from_text(text: str) -> tuple[Step, ...]:
    """Read the steps of a shard."""
    return _STEPS.validate_json(text)


def funnel_path(workspace: Path, identity: str) -> Path:
    """Return where the funnel of a token store lies in the workspace."""
    return workspace / ".codemix" / "funnels" / f"{identity}.json"


def build_funnel(
    manifest: Manifest, planned: PlannedSource, shards: Iterable[str]
) -> Funnel:
    """Put the funnel of a source together.

    Args:
        manifest: Of its token store, which has the tokens of what is kept.
        planned: The source's part of the plan, which has the order of its rules.
        shards: The steps of each shard, as `steps_to_text` wrote them, in order.
    """
    found = merge_steps(steps_from_text(text) for text in shards)
    for reason, documents in manifest.dropped.items():
        # Whatever drops documents and keeps no samples of them shows up all the same.
        found.setdefault(reason, _step(reason, documents))
    for split in SPLITS:
        step = found.get(split, _step(split))
        record = manifest.splits[split]
        kept = {"tokens": record.num_tokens, "text_bytes": record.num_bytes}
        found[split] = step.model_copy(update=kept)
    rules = DocumentFilter(planned.where, planned.filters).reasons
    others = sorted(set(found) - {CORRUPT, *rules, RESERVED, *SPLITS})
    names = (CORRUPT, *rules, *others, RESERVED, *reversed(SPLITS))
    return Funnel(
        funnel=1,
        identity=manifest.identity,
        source=manifest.source,
        steps=tuple(found.get(name) or _step(name) for name in names),
    )


def agrees(funnel: Funnel, manifest: Manifest) -> bool:
    """Tell whether a funnel counts what the manifest counts."""
    counted = {step.name: step.documents for step in funnel.steps if step.documents}
    wanted: dict[str, int] = {
        **manifest.dropped,
        **{str(one): manifest.splits[one].num_documents for one in SPLITS},
        CORRUPT: manifest.corrupt,
        RESERVED: manifest.reserved,
    }
    return funnel.identity == manifest.identity and counted == {
        name: documents for name, documents in wanted.items() if documents
    }


def merge_steps(parts: Iterable[Iterable[Step]]) -> dict[str, Step]:
    """Add up the steps of several shards, in the order of the shards."""
    by_name: dict[str, list[Step]] = {}
    for part in parts:
        for step in part:
            by_name.setdefault(step.name, []).append(step)
    return {name: _sum(name, steps) for name, steps in by_name.items()}


def first_samples(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the first samples in the keyed order, copies of a text put together."""
    by_rank: dict[str, Sample] = {}
    for sample in samples:
        earlier = by_rank.get(sample.rank)
        if earlier is not None:
            copies = earlier.copies + sample.copies
            sample = earlier.model_copy(update={"copies": copies})
        by_rank[sample.rank] = sample
    return tuple(by_rank[rank] for rank in sorted(by_rank)[:MAX_SAMPLES])


def _sum(name: str, steps: list[Step]) -> Step:
    sizes = [step.text_bytes for step in steps if step.text_bytes is not None]
    tokens = [step.tokens for step in steps if step.tokens is not None]
    # Shards are sampled independently, so their variances add up.
    variance = sum(step.tokens_error**2 for step in steps)
    return Step(
        name=name,
        documents=sum(step.documents for step in steps),
        text_bytes=sum(sizes) if sizes else None,
        tokens=sum(tokens) if tokens else None,
        tokens_error=isqrt(variance),
        is_exact=all(step.is_exact for step in steps),
        samples=first_samples(sample for step in steps for sample in step.samples),
    )


def _step(name: str, documents: int = 0) -> Step:
    """Return a step of which nothing but the number of documents is known."""
    nothing = None if documents or name == CORRUPT else 0
    return Step(
        name=name,
        documents=documents,
        text_bytes=nothing,
        tokens=nothing,
        tokens_error=0,
        is_exact=True,
        samples=(),
    )
