"""What held-out text costs without a neural network, for scale.

`unigram`: each token at its share of the training split, with one added to every
token's count (Laplace), so that an unseen token has a price. It knows how often things
occur and nothing about their order; a model that learned anything is below it.

`gzip`: `gzip -9` over the same documents, joined. It knows repetition, within 32 KiB.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.heldout import HeldoutSample
from evals.scores import Score, SplitStore, TextCodec
from specs.evaluation import BASELINES

DEFAULT_MAX_COUNTED = 100_000_000
"""Tokens of a source's training split that are counted at most, from its start."""

_CHUNK_TOKENS = 2**22

_LOGARITHMS = Context(prec=25)
"""Decimal logarithms are correctly rounded; those of C libraries differ by machine."""


def measure_baselines(
    samples: Mapping[str, HeldoutSample],
    train: Mapping[str, SplitStore],
    tokenizer: TextCodec,
    *,
    vocab_size: int,
    max_counted: int = DEFAULT_MAX_COUNTED,
) -> Score:
    """Measure both baselines on the held-out sample of each source.

    Args:
        samples: Source name -> what `sample_heldout` chose.
        train: Source name -> its training split.
        tokenizer: Gives back the text that gzip sees.
        vocab_size: Tokens in all, seen or not.
        max_counted: Training tokens counted at most.

    Returns:
        For each source `NAME.unigram` and `NAME.gzip` in bits per byte.
    """
    values: dict[str, float] = {}
    detail: dict[str, Any] = {}
    for name, sample in sorted(samples.items()):
        counts = count_tokens(train[name], vocab_size, max_counted)
        values[f"{name}.unigram"] = unigram_bits(sample, counts) / sample.num_bytes
        text, changed = _text_of(sample, tokenizer)
        values[f"{name}.gzip"] = 8 * len(gzip.compress(text, 9, mtime=0)) / len(text)
        detail[name] = {
            **sample.sizes(),
            "tokens_counted": int(counts.sum()),
            "documents_changed_by_the_tokenizer": changed,
        }
    return Score(suite=BASELINES, values=values, detail={"sources": detail})


def count_tokens(
    store: SplitStore, vocab_size: int, max_counted: int
) -> NDArray[np.int64]:
    """Count how often each token occurs, from the start of a split."""
    counts = np.zeros(vocab_size, np.int64)
    stop = min(store.num_tokens, max_counted)
    for start in range(0, stop, _CHUNK_TOKENS):
        chunk = store.read(start, min(_CHUNK_TOKENS, stop - start))
        counts += np.bincount(chunk, minlength=vocab_size)
    return counts


def unigram_bits(sample: HeldoutSample, counts: NDArray[np.int64]) -> float:
    """Return the bits that the sample's tokens cost at their training frequencies."""
    heldout = np.bincount(np.concatenate(sample.documents), minlength=len(counts))
    # Tokens that were counted equally often cost the same: few logarithms to take.
    levels, level_of = np.unique(counts, return_inverse=True)
    occurrences = np.bincount(level_of, weights=heldout, minlength=len(levels))
    total = _bits(int(counts.sum()) + len(counts))
    costs = (total - _bits(count + 1) for count in levels.tolist())
    return math.fsum(
        float(cost * int(times))
        for cost, times in zip(costs, occurrences.tolist(), strict=True)
    )


def _bits(number: int) -> Decimal:
    logarithm = _LOGARITHMS.ln(Decimal(number))
    return _LOGARITHMS.divide(logarithm, _LOGARITHMS.ln(Decimal(2)))


def _text_of(sample: HeldoutSample, tokenizer: TextCodec) -> tuple[bytes, int]:
    """Return the documents joined, and how many come back with other bytes."""
    texts = list(_decoded(sample, tokenizer))
    pairs = zip(texts, sample.document_bytes, strict=True)
    changed = sum(len(text) != num_bytes for text, num_bytes in pairs)
    return b"".join(texts), changed


def _decoded(sample: HeldoutSample, tokenizer: TextCodec) -> Iterator[bytes]:
    for document in sample.documents:
        *tokens, end = document.tolist()
        assert end == tokenizer.eos_id
        yield tokenizer.decode(tokens).encode("utf-8")
