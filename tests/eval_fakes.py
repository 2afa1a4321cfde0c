"""A byte tokenizer, a store in memory and models without weights, for eval tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EOS = 1
VOCAB_SIZE = 258


class ByteCodec:
    """Token 2 + b is byte b."""

    eos_id = EOS

    def encode(self, text: str) -> list[int]:
        return [2 + byte for byte in text.encode("utf-8")]

    def decode(self, tokens: list[int]) -> str:
        return bytes(token - 2 for token in tokens).decode("utf-8", "replace")


@dataclass(frozen=True)
class Span:
    start_token: int
    stop_token: int
    num_bytes: int


class MemoryStore:
    """A split that holds these texts in this order."""

    def __init__(self, texts: Sequence[str]):
        self.texts = tuple(texts)
        self.documents: list[Span] = []
        tokens: list[int] = []
        for text in texts:
            start = len(tokens)
            tokens += [*ByteCodec().encode(text), EOS]
            self.documents.append(Span(start, len(tokens), len(text.encode("utf-8"))))
        self.tokens = np.array(tokens, np.int32)
        self.pieces = (self.tokens,)

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    def read(self, start: int, count: int) -> np.ndarray:
        assert 0 <= start <= start + count <= self.num_tokens
        return self.tokens[start : start + count]


def pair_losses(tokens: np.ndarray) -> np.ndarray:
    """A loss for each pair of neighbours, odd enough to expose any mistake."""
    before, after = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
    return ((before * 7919 + after * 104729) % 9973 / 1237).astype(np.float32)
