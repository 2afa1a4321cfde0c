"""Loss on text that was never trained on, per source.

In nats per token, and in bits per byte of the original text, which compares models
with different tokenizers. Every token of the sampled documents is scored once, EOS
included; the first follows an EOS, as if a document had ended before it.

Losses are added in exact arithmetic and rounded once (`math.fsum`), so no order of
devices or batches can change a sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.scores import NATS_PER_BIT, Score, SplitStore
from evals.scoring import window_losses, windows_of
from runtime.keys import key
from runtime.permutation import permute
from runtime.scoring import ScoredModel
from specs.errors import InputError, Problem

DEFAULT_MAX_TOKENS = 1_000_000
"""Held-out tokens of a source that are scored at most, to the document."""

_SAMPLE_SEED = 0
"""Not the experiment's: runs that differ in their seed are scored on one text."""


@dataclass(frozen=True, kw_only=True)
class HeldoutSample:
    """Whole held-out documents of one source, in a keyed order."""

    documents: tuple[NDArray[np.int32], ...]
    """Tokens of each, EOS at the end."""
    document_bytes: tuple[int, ...]
    """UTF-8 bytes of each."""
    all_documents: int
    """Documents in the whole split."""
    all_tokens: int
    """Tokens in the whole split."""

    @property
    def num_tokens(self) -> int:
        """Tokens sampled."""
        return sum(map(len, self.documents))

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes sampled."""
        return sum(self.document_bytes)

    def sizes(self) -> dict[str, int]:
        """Return what was sampled of what, to stand beside the scores."""
        return {
            "documents": len(self.documents),
            "documents_in_split": self.all_documents,
            "tokens": self.num_tokens,
            "tokens_in_split": self.all_tokens,
            "bytes": self.num_bytes,
        }


def sample_heldout(
    stores: Mapping[str, SplitStore], *, max_tokens: int = DEFAULT_MAX_TOKENS
) -> dict[str, HeldoutSample]:
    """Choose what is scored of each source: the same for every run on the same data.

    Args:
        stores: Source name -> its held-out split.
        max_tokens: Documents are taken until one passes it; always one at least.

    Raises:
        InputError: A source holds nothing out.
    """
    empty = [
        Problem(
            path=f"sources.{name}.holdout",
            what="no document of the source is held out, so it can't be scored",
            fix="make the share larger, or set it to 0 to score other sources only",
        )
        for name, store in sorted(stores.items())
        if store.num_tokens == 0
    ]
    if empty:
        raise InputError(empty)
    return {
        name: _sample(name, store, max_tokens) for name, store in sorted(stores.items())
    }


def score_heldout(samples: Mapping[str, HeldoutSample], model: ScoredModel) -> Score:
    """Score the held-out documents of each source.

    Returns:
        For each source `NAME.loss` in nats per token and `NAME.bits_per_byte`; the
        sizes of each sample as detail.
    """
    values: dict[str, float] = {}
    for name, sample in sorted(samples.items()):
        nats = _total_nats(sample, model)
        values[f"{name}.loss"] = nats / sample.num_tokens
        values[f"{name}.bits_per_byte"] = nats / NATS_PER_BIT / sample.num_bytes
    sizes = {name: sample.sizes() for name, sample in sorted(samples.items())}
    detail = {"length": model.length, "sources": sizes}
    return Score(suite="heldout", values=values, detail=detail)


def _sample(name: str, store: SplitStore, max_tokens: int) -> HeldoutSample:
    spans = store.documents
    size = len(spans)
    # Not the first documents of the split: those come from its first files.
    order = permute(
        np.arange(size),
        keys=np.full(size, key(_SAMPLE_SEED, "heldout", name), np.uint64),
        sizes=np.full(size, size),
    )
    documents: list[NDArray[np.int32]] = []
    document_bytes: list[int] = []
    num_tokens = 0
    for index in order.tolist():
        span = spans[index]
        count = span.stop_token - span.start_token
        if documents and num_tokens + count > max_tokens:
            break
        documents.append(store.read(span.start_token, count))
        document_bytes.append(span.num_bytes)
        num_tokens += count
    return HeldoutSample(
        documents=tuple(documents),
        document_bytes=tuple(document_bytes),
        all_documents=size,
        all_tokens=store.num_tokens,
    )


def _total_nats(sample: HeldoutSample, model: ScoredModel) -> float:
    stream = np.concatenate([np.array([model.eos_id], np.int32), *sample.documents])
    losses = window_losses(model, windows_of(stream, model.length, pad=model.eos_id))
    return math.fsum(losses.ravel()[: sample.num_tokens].tolist())
