"""A byte tokenizer, a store in memory and models without weights, for eval tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.scoring import Continuation, ContinuationLosses

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

    is_elsewhere = False

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


@dataclass(frozen=True)
class FakeModel:
    """A model whose losses are a plain function; each continuation in its own call."""

    token_losses: Any
    rows: int
    length: int
    eos_id: int = EOS

    @property
    def losses(self) -> Any:
        return self.token_losses

    def continuations(self, requests: Any) -> list[ContinuationLosses]:
        return [self._score(one) for one in requests]

    def _score(self, request: Continuation) -> ContinuationLosses:
        whole = [*request.context, *request.tokens][-(self.length + 1) :]
        losses = self.token_losses(np.array([whole], np.int32))[0]
        scored = losses[-len(request.tokens) :]
        return ContinuationLosses(losses=scored, is_greedy=scored < 1)

    def generate(self, prompts: Any, *, sampling: Any, is_done: Any) -> Any:
        raise NotImplementedError("no test generates with it")


def pair_losses(tokens: np.ndarray) -> np.ndarray:
    """A loss for each pair of neighbours, odd enough to expose any mistake."""
    before, after = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
    return ((before * 7919 + after * 104729) % 9973 / 1237).astype(np.float32)
