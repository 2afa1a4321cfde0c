"""What an evaluation is given and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from specs.base import Value

NATS_PER_BIT = 0.6931471805599453
"""The natural logarithm of 2, written out: the same bits on every machine."""


class TextCodec(Protocol):
    """A tokenizer."""

    @property
    def eos_id(self) -> int:
        """The token that ends every document."""
        ...

    def encode(self, text: str) -> list[int]:
        """Split a text into tokens, without EOS."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """Join tokens into a text."""
        ...


class DocumentSpan(Protocol):
    """Where a document is in a store."""

    @property
    def start_token(self) -> int:
        """First token."""
        ...

    @property
    def stop_token(self) -> int:
        """One past the last token, which is EOS."""
        ...

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text."""
        ...


class SplitStore(Protocol):
    """One split of one source's token store."""

    @property
    def num_tokens(self) -> int:
        """Tokens of the split."""
        ...

    @property
    def documents(self) -> Sequence[DocumentSpan]:
        """Documents in the order of their tokens."""
        ...

    def read(self, start: int, count: int) -> NDArray[np.int32]:
        """Return tokens from a position on."""
        ...


class Score(Value):
    """What one suite gave for one set of weights."""

    suite: str
    values: dict[str, float]
    """Name -> number, such as `text.bits_per_byte`."""
    detail: dict[str, Any] = {}
    """What the numbers were made of: sizes, caps, results per question."""
