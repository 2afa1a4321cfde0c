"""Near-duplicates by MinHash (Broder, 1997): documents that share most of their words.

Signatures of 64 hashes, candidates from 16 bands of 4 (a pair of similarity 0.8 shares
a band with probability 0.9998), accepted where the estimate reaches the threshold.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NUM_HASHES = 64
NUM_BANDS = 16
WORDS_PER_SHINGLE = 5
THRESHOLD = 0.8

_PRIME = np.uint64(2**31 - 1)
_INDEX = np.arange(1, NUM_HASHES + 1, dtype=np.uint64)
# Multipliers and increments below the prime; any that differ would do.
_FACTORS = (_INDEX * np.uint64(1_103_515_245) + np.uint64(12_345)) % _PRIME
_INCREMENTS = (_INDEX * np.uint64(69_069) + np.uint64(907_633_385)) % _PRIME


def share_of_near_duplicates(texts: Sequence[str]) -> float:
    """Return the share of texts that are nearly the same as an earlier one.

    >>> text = "the quick brown fox jumps over the lazy dog " * 3
    >>> share_of_near_duplicates([text, "nothing of the kind is here at all", text])
    0.3333333333333333
    """
    signatures = [_signature(text) for text in texts]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    found = 0
    for index, signature in enumerate(signatures):
        keys = [
            (band, part.tobytes())
            for band, part in enumerate(np.split(signature, NUM_BANDS))
        ]
        # A few of a bucket are enough: one that is near is all that is asked for.
        others = {other for key in keys for other in buckets[key][-20:]}
        found += any(
            np.mean(signature == signatures[other]) >= THRESHOLD for other in others
        )
        for key in keys:
            buckets[key].append(index)
    return found / max(1, len(texts))


def _signature(text: str) -> NDArray[np.uint64]:
    words = text.split()
    shingles = {
        zlib.crc32(" ".join(words[start : start + WORDS_PER_SHINGLE]).encode())
        for start in range(max(1, len(words) - WORDS_PER_SHINGLE + 1))
    }
    values = np.fromiter(shingles, np.uint64) % _PRIME
    hashed = (values[:, None] * _FACTORS + _INCREMENTS) % _PRIME
    smallest: NDArray[np.uint64] = hashed.min(axis=0)
    return smallest
