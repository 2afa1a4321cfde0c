"""Text to tokens by a SentencePiece model, word by word where that changes nothing.

BPE joins neighbours whose joint is a piece. Where no piece has a space behind another
character, nothing is ever joined across the border in front of a word's spaces: the
tokens of a text are those of its words, each with the spaces in front of it. So a word
that comes again is encoded once, and short texts are encoded faster than long ones of
as many bytes, as the pairs that may be joined next are kept in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES_AT_ONCE = 2**16
"""Words of so much text are looked up at once; one without an end may be longer."""

BYTES_REMEMBERED = 2**20
"""Of words whose tokens are known, after which all are forgotten."""

# Numbers of SentencePiece's own file format (sentencepiece_model.proto).
_BPE = 2
_USER_DEFINED = 4

_SPACE = "\u2581"
"""What SentencePiece writes a space as."""

_WRITTEN_SPACE = _SPACE.encode()
"""In a text it is a space as well, of which the borders below know nothing."""

_WORD = re.compile(rb" *[^ ]+(?: +\Z)?")
_WORD_OR_NEWLINE = re.compile(rb"\n| +(?=\n|\Z)| *[^ \n]+")
_BORDER = re.compile(rb"(?<=[^ ]) +(?=[^ ])")

Encode = Callable[[bytes], NDArray[np.int32]]
"""UTF-8 to tokens, without EOS."""


def text_encoder(model: bytes, processor: Any) -> Encode:
    """Return the fastest way to encode texts.

    Args:
        model: Bytes of the `.model` file.
        processor: A `SentencePieceProcessor` of it.
    """
    # Brings protobuf, which nothing else here needs.
    from sentencepiece import sentencepiece_model_pb2

    formats: Any = sentencepiece_model_pb2
    proto = formats.ModelProto()
    proto.ParseFromString(model)
    if not has_words(proto):
        return partial(_whole, processor)
    return _WordEncoder(
        processor,
        has_prefix=proto.normalizer_spec.add_dummy_prefix,
        newline_is_word=newline_is_word(proto),
    )


def has_words(proto: Any) -> bool:
    """Whether the tokens of a text are those of its words.

    Args:
        proto: A model: sentencepiece's `ModelProto`.
    """
    rules = proto.normalizer_spec
    if (
        # Unigram adds scores up along a text, and so rounds otherwise in a longer one.
        proto.trainer_spec.model_type != _BPE
        or rules.precompiled_charsmap
        or rules.normalization_rule_tsv
        or rules.remove_extra_whitespaces
        or not rules.escape_whitespaces
        or proto.trainer_spec.treat_whitespace_as_suffix
    ):
        return False
    pieces = {piece.piece.replace(" ", _SPACE) for piece in proto.pieces}
    # An unknown space would become one with what is unknown in front of it.
    return _SPACE in pieces and not any(
        after == _SPACE != before
        for piece in pieces
        for before, after in pairwise(piece)
    )


def newline_is_word(proto: Any) -> bool:
    """Whether a newline is never joined with anything, as in models of ours.

    Args:
        proto: A model that has words.
    """
    having = [piece for piece in proto.pieces if "\n" in piece.piece]
    return (
        # The prefix would be put in front of what follows a newline, too.
        not proto.normalizer_spec.add_dummy_prefix
        and len(having) == 1
        and having[0].piece == "\n"
        and having[0].type == _USER_DEFINED
    )


def _whole(processor: Any, text: bytes) -> NDArray[np.int32]:
    tokens: NDArray[np.int32] = processor.encode_as_numpy(text)
    return tokens.astype(np.int32, copy=False)


class _WordEncoder:
    """Encodes by words; remembers the tokens of those that it has met."""

    def __init__(
        self, processor: Any, *, has_prefix: bool, newline_is_word: bool
    ) -> None:
        self._processor = processor
        self._has_prefix = has_prefix
        self._words = (_WORD_OR_NEWLINE if newline_is_word else _WORD).findall
        self._known: dict[bytes, list[int]] = {}
        self._num_bytes = 0

    def __call__(self, text: bytes) -> NDArray[np.int32]:
        if _WRITTEN_SPACE in text:
            return _whole(self._processor, text)
        parts: list[NDArray[np.int32]] = []
        start = 0
        while start < len(text):
            border = _BORDER.search(text, start + BYTES_AT_ONCE)
            stop = border.start() if border else len(text)
            parts.append(self._part(text[start:stop], is_first=start == 0))
            start = stop
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def _part(self, text: bytes, *, is_first: bool) -> NDArray[np.int32]:
        """Encode some words."""
        words = self._words(text)
        tokens: list[int] = []
        if not words or (self._has_prefix and is_first):
            # Only at the start is the space that the model puts in front one more.
            tokens += self._processor.encode(words.pop(0) if words else text)
        known = self._known
        if new := [word for word in set(words) if word not in known]:
            self._learn(new, words)
        for word in words:
            tokens += known[word]
        return np.array(tokens, np.int32)

    def _learn(self, new: list[bytes], words: list[bytes]) -> None:
        if self._num_bytes > BYTES_REMEMBERED:
            self._known.clear()
            self._num_bytes = 0
            new = list(set(words))
        self._num_bytes += sum(map(len, new))
        texts = [word[1:] for word in new] if self._has_prefix else new
        self._known.update(zip(new, self._processor.encode(texts), strict=True))
