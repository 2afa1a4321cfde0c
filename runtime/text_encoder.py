"""Text to tokens by a SentencePiece model, line by line where that changes nothing.

A model of ours has the newline as a symbol of its own, which nothing is ever joined
with, and takes text as it is. Then the tokens of a text are those of its lines with
newlines between them. Short texts are encoded faster than long ones of as many bytes,
as the pairs that may be joined next are kept in order: by a third where documents have
a few kilobytes, by three times where they have a megabyte.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEWLINE = b"\n"

BYTES_AT_ONCE = 2**16
"""Tokens of so much text are Python's integers before they are an array's."""

# Numbers of SentencePiece's own file format (sentencepiece_model.proto).
_BPE = 2
_USER_DEFINED = 4

Encode = Callable[[bytes], NDArray[np.int32]]
"""UTF-8 to tokens, without EOS."""


def text_encoder(model: bytes, processor: Any) -> Encode:
    """Return the fastest way to encode texts.

    Args:
        model: Bytes of the `.model` file.
        processor: A `SentencePieceProcessor` of it.
    """
    newline_id = newline_of(model)
    if newline_id is None:
        return lambda text: processor.encode_as_numpy(text).astype(np.int32, copy=False)

    def encode(text: bytes) -> NDArray[np.int32]:
        lines = text.split(NEWLINE)
        parts: list[NDArray[np.int32]] = []
        tokens: list[int] = []
        for start, stop in _groups(lines):
            for line in processor.encode(lines[start:stop]):
                tokens += line
                tokens.append(newline_id)
            parts.append(np.array(tokens, np.int32))
            tokens.clear()
        # There is one newline less than there are lines.
        return np.concatenate(parts)[:-1]

    return encode


def newline_of(model: bytes) -> int | None:
    """Return the token of a newline, if texts can be encoded line by line."""
    # Brings protobuf, which nothing else here needs.
    from sentencepiece import sentencepiece_model_pb2

    formats: Any = sentencepiece_model_pb2
    proto = formats.ModelProto()
    proto.ParseFromString(model)
    rules = proto.normalizer_spec
    if (
        proto.trainer_spec.model_type != _BPE
        or rules.precompiled_charsmap
        or rules.normalization_rule_tsv
        or rules.add_dummy_prefix
        or rules.remove_extra_whitespaces
        or proto.trainer_spec.treat_whitespace_as_suffix
    ):
        return None
    having = [
        (index, piece)
        for index, piece in enumerate(proto.pieces)
        if NEWLINE.decode() in piece.piece
    ]
    if len(having) != 1:
        return None
    [(index, piece)] = having
    is_alone = piece.piece == NEWLINE.decode() and piece.type == _USER_DEFINED
    return index if is_alone else None


def _groups(lines: list[bytes]) -> list[tuple[int, int]]:
    """Divide lines into ranges of about as many bytes as are encoded at once."""
    borders, num_bytes = [0], 0
    for place, line in enumerate(lines, 1):
        num_bytes += len(line) + 1
        if num_bytes >= BYTES_AT_ONCE:
            borders.append(place)
            num_bytes = 0
    if borders[-1] < len(lines):
        borders.append(len(lines))
    return list(pairwise(borders))
