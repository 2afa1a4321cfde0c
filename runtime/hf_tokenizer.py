"""A SentencePiece BPE model as a `tokenizer.json`, which `transformers` reads.

SentencePiece keeps a list of pieces by rank, and joins the best-ranked pair of
neighbours first. A `tokenizer.json` lists the pairs, so each piece gives every way to
make it of two others, all at its own rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specs.errors import InputError, Problem

SPACE = "\u2581"
"""How SentencePiece writes a space."""

# Numbers of SentencePiece's own file format (sentencepiece_model.proto).
_BPE = 2
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4


def tokenizer_files(path: Path, *, max_length: int) -> dict[str, Any]:
    """Return file name -> JSON of the tokenizer's files.

    Args:
        path: A SentencePiece `.model` file.
        max_length: Tokens that the model was trained on at once.

    Raises:
        InputError: It does more to text than a `tokenizer.json` made here can say.
    """
    # Brings protobuf, which nothing else here needs.
    from sentencepiece import sentencepiece_model_pb2

    formats: Any = sentencepiece_model_pb2
    model = formats.ModelProto()
    model.ParseFromString(path.read_bytes())
    _check_expressible(model, path.name)
    pieces = {piece.piece: index for index, piece in enumerate(model.pieces)}
    eos = model.pieces[model.trainer_spec.eos_id].piece
    unknown = next(piece.piece for piece in model.pieces if piece.type == _UNKNOWN)
    return {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": _added_tokens(model),
            "normalizer": _normalizer(model.normalizer_spec.add_dummy_prefix),
            "pre_tokenizer": None,
            "post_processor": _eos_before_text(eos, model.trainer_spec.eos_id),
            "decoder": _decoder(model.normalizer_spec.add_dummy_prefix),
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": unknown,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": True,
                "byte_fallback": True,
                "ignore_merges": False,
                "vocab": pieces,
                "merges": merges_of(_mergeable(model), pieces),
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_length,
            # A document follows the EOS of the one before, so EOS also begins a text.
            "bos_token": eos,
            "eos_token": eos,
            "unk_token": unknown,
            "clean_up_tokenization_spaces": False,
            # Text that looks like a special token is text, as in training.
            "split_special_tokens": True,
        },
    }


def merges_of(scores: Mapping[str, float], pieces: Mapping[str, int]) -> list[Any]:
    """List the pairs of pieces that join, best first.

    >>> merges_of({"ab": -1.0, "abc": -0.5}, {"a": 0, "b": 1, "c": 2, "ab": 3})
    [['ab', 'c'], ['a', 'b']]
    """
    merges = []
    for piece in sorted(scores, key=lambda piece: -scores[piece]):
        pairs = ([piece[:at], piece[at:]] for at in range(1, len(piece)))
        found = [pair for pair in pairs if pair[0] in pieces and pair[1] in pieces]
        merges.extend(sorted(found, key=lambda pair: [pieces[part] for part in pair]))
    return merges


def _mergeable(model: Any) -> dict[str, float]:
    return {piece.piece: piece.score for piece in model.pieces if piece.type == _NORMAL}


def _check_expressible(model: Any, name: str) -> None:
    normalizer = model.normalizer_spec
    wrong = {
        "is not of the type BPE": model.trainer_spec.model_type != _BPE,
        "has no byte fallback": not model.trainer_spec.byte_fallback,
        "normalises text": bool(normalizer.precompiled_charsmap),
        "removes spaces": normalizer.remove_extra_whitespaces,
    }
    problems = [
        Problem(
            file=name,
            what=f"the tokenizer {what}, which can't be exported",
            fix="take the `.model` file itself, which SentencePiece reads",
        )
        for what, is_so in wrong.items()
        if is_so
    ]
    if problems:
        raise InputError(problems)


def _added_tokens(model: Any) -> list[dict[str, Any]]:
    """List what is cut out of text before pieces are joined."""
    return [
        {
            "id": index,
            "content": piece.piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": piece.type != _USER_DEFINED,
        }
        for index, piece in enumerate(model.pieces)
        if piece.type in (_UNKNOWN, _CONTROL, _USER_DEFINED)
    ]


def _eos_before_text(eos: str, eos_id: int) -> dict[str, Any]:
    """Put an EOS before what is encoded, unless special tokens are left out."""
    begin = {"SpecialToken": {"id": eos, "type_id": 0}}
    first = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [begin, first],
        "pair": [begin, first, second],
        "special_tokens": {eos: {"id": eos, "ids": [eos_id], "tokens": [eos]}},
    }


def _normalizer(add_prefix: bool) -> dict[str, Any]:
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if not add_prefix:
        return replace
    prepend = {"type": "Prepend", "prepend": SPACE}
    return {"type": "Sequence", "normalizers": [prepend, replace]}


def _decoder(add_prefix: bool) -> dict[str, Any]:
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if add_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": decoders}
