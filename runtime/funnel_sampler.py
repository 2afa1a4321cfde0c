"""Counting and sampling the documents of a shard by the step that they end in.

A document's rank is a keyed hash of its text, so which are sampled depends neither on
places in files nor on shards or workers. Of each step the texts with the smallest ranks
are held: a uniform sample of the different texts, whose copies are counted from the
first on, as a text that is held at the end was held from the beginning.

Tokens of dropped documents are counted where the sample is all there is, and estimated
where it is not, by tokens per byte: tokenising all of them would often take longer than
all the rest.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

from runtime.documents import Corrupt, Document
from runtime.funnel import CORRUPT, MAX_SAMPLES, Sample, Step
from runtime.splits import SPLITS

MAX_TOKENISED = 2000
"""Different texts of a dropping step that are tokenised, over all shards of a source;
of each shard at least `MAX_SAMPLES`."""

MAX_HEAD_BYTES = 2**18
"""Of a longer dropped text only the beginning is tokenised: filters are there to keep
out what no tokenizer should meet."""

Measured = Callable[[], str | None]


@dataclass(slots=True)
class _Text:
    """One text of a sample."""

    file: str
    number: int
    num_bytes: int
    copies: int
    head: bytes
    measured: str | None

    @property
    def is_cut(self) -> bool:
        return len(self.head) < self.num_bytes


class _Texts:
    """What is known of the documents of one step."""

    def __init__(self, max_texts: int):
        self.documents = 0
        self.num_bytes = 0
        self.held: dict[int, _Text] = {}
        self._max_texts = max_texts
        self._largest: list[int] = []
        """Ranks below zero, so that the heap has the largest first."""

    def holds(self, rank: int) -> bool:
        """Make room for a text that belongs to the sample; False if it does not."""
        if len(self.held) == self._max_texts:
            if rank > -self._largest[0]:
                return False
            del self.held[-heapq.heappop(self._largest)]
        heapq.heappush(self._largest, -rank)
        return True


class Sampler:
    """The documents of one shard, by step."""

    def __init__(self, sample_key: int, num_shards: int):
        """Start a shard.

        Args:
            sample_key: Key of the order of texts, the same for all shards of a source.
            num_shards: Of the source.
        """
        self._key = sample_key
        self._max_tokenised = max(MAX_SAMPLES, MAX_TOKENISED // num_shards)
        self._steps: dict[str, _Texts] = {}

    def add(
        self,
        step: str,
        found: Document | Corrupt,
        text: bytes,
        measured: Measured = lambda: None,
    ) -> None:
        """Count a document in the step that it ends in.

        Args:
            step: Name of the step.
            found: Where it comes from.
            text: As UTF-8; of what is corrupt its place.
            measured: Tells what decided; asked for the few that are sampled.
        """
        is_dropped = step not in SPLITS
        texts = self._steps.get(step)
        if texts is None:
            texts = _Texts(self._max_tokenised if is_dropped else MAX_SAMPLES)
            self._steps[step] = texts
        texts.documents += 1
        texts.num_bytes += len(text)
        rank = rank_of(text, self._key)
        if rank in texts.held:
            texts.held[rank].copies += 1
        elif texts.holds(rank):
            head = text[:MAX_HEAD_BYTES] if is_dropped else b""
            texts.held[rank] = _Text(
                found.file, found.number, len(text), 1, head, measured()
            )

    def add_corrupt(self, found: Corrupt) -> None:
        """Count what holds no document."""
        place = f"{found.file}:{found.number}".encode()
        self.add(CORRUPT, found, place, lambda: found.what)

    def steps(self, num_tokens: Callable[[str], int]) -> tuple[Step, ...]:
        """Return what became of the documents of the shard.

        Args:
            num_tokens: Counts the tokens of a text, without EOS.
        """
        return tuple(
            _step_of(name, texts, num_tokens)
            for name, texts in sorted(self._steps.items())
        )


def rank_of(text: bytes, sample_key: int) -> int:
    """Return the place of a text in the keyed order, a number of 64 bits."""
    key = sample_key.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=key).digest(), "big")


def rank_text(rank: int) -> str:
    """Write a rank so that text is sorted as numbers are."""
    return f"{rank:016x}"


def _step_of(name: str, texts: _Texts, num_tokens: Callable[[str], int]) -> Step:
    is_text = name != CORRUPT
    tokens, error, is_exact = 0, 0, True
    # The tokens of what is kept are those of the store.
    if is_text and name not in SPLITS:
        tokens, error, is_exact = _tokens_of(texts, num_tokens)
    return Step(
        name=name,
        documents=texts.documents,
        text_bytes=texts.num_bytes if is_text else None,
        tokens=tokens if is_text else None,
        tokens_error=error,
        is_exact=is_exact,
        samples=tuple(
            Sample(
                rank=rank_text(rank),
                file=text.file,
                number=text.number,
                text_bytes=text.num_bytes if is_text else 0,
                copies=text.copies,
                measured=text.measured,
            )
            for rank, text in sorted(texts.held.items())[:MAX_SAMPLES]
        ),
    )


def _tokens_of(
    texts: _Texts, num_tokens: Callable[[str], int]
) -> tuple[int, int, bool]:
    """Return tokens, their standard error, and whether they were counted.

    The ratio estimator (Cochran, Sampling Techniques, 3rd ed., chapter 6): y tokens and
    x bytes of a text, times its copies, R = sum(y) / sum(x); tokens = R * all bytes,
    with the variance of the residuals y - R x. In integers, so that no machine differs.
    """
    held = [texts.held[rank] for rank in sorted(texts.held)]
    sizes = [text.copies * text.num_bytes for text in held]
    counts = [text.copies * _tokens_of_text(text, num_tokens) for text in held]
    num_sampled = sum(text.copies for text in held)
    if num_sampled == texts.documents:
        return sum(counts), 0, not any(text.is_cut for text in held)
    all_counts, all_sizes, num_texts = sum(counts), sum(sizes), len(held)
    tokens = texts.num_bytes * all_counts // all_sizes
    # Residuals times all_sizes, to stay whole.
    squares = sum(
        (count * all_sizes - all_counts * size) ** 2
        for count, size in zip(counts, sizes, strict=True)
    )
    left = texts.documents - num_sampled
    variance = (texts.num_bytes**2 * num_texts * squares * left) // (
        all_sizes**4 * (num_texts - 1) * texts.documents
    )
    return tokens, isqrt(variance), False


def _tokens_of_text(text: _Text, num_tokens: Callable[[str], int]) -> int:
    count = num_tokens(text.head.decode("utf-8", "ignore"))
    if text.is_cut:
        count = count * text.num_bytes // len(text.head)
    return count + 1
