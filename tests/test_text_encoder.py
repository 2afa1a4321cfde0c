"""Encoding word by word gives the tokens of the whole text, or isn't done."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import sentencepiece
from data_workspace import sentences
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from runtime import text_encoder as module
from runtime.text_encoder import has_words, newline_is_word, text_encoder
from runtime.tokenizer_training import train_model

SAMPLE = [f"{'    ' * (n % 3)}{text}  end" for n, text in enumerate(sentences(300))]


def trained(**changes: Any) -> bytes:
    model = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 320,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "user_defined_symbols": ["\n"],
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE), model_writer=model, **{**options, **changes}
    )
    return model.getvalue()


MODELS = {
    "ours": train_model([text.encode() for text in SAMPLE], 320),
    "newline is bytes": trained(user_defined_symbols=[]),
    "a space in front": trained(user_defined_symbols=[], add_dummy_prefix=True),
    "newlines together": trained(user_defined_symbols=["\n", "\n\n", " \n"]),
    "no bytes": trained(byte_fallback=False, character_coverage=0.98),
    "a space in front, no bytes": trained(add_dummy_prefix=True, byte_fallback=False),
}
WHOLE = {
    name: sentencepiece.SentencePieceProcessor(model_proto=model)
    for name, model in MODELS.items()
}
BY_WORDS = {name: text_encoder(MODELS[name], WHOLE[name]) for name in MODELS}

# What tokenizers stumble over, and the borders of words and lines.
ODD_TEXTS = [
    "",
    " ",
    "   ",
    "\n",
    "\n\n\n a\n\n",
    " \n \n",
    "  two   words  ",
    "one ",
    "\tif x:\r\n\t\treturn  1_000\n",
    "\u65e5\u672c\u8a9e\n\u0440\u0443\u0441 \U0001f600",
    "\u2581 a \u2581\u2581b\n\u2581",
    "<s> </s> <unk> <pad> <0x0A>\n<0x0A>",
    "nul\x00nul\n\x00",
    "a\u2028b\x0bc\x0cd\x85e\xa0f",  # ends of lines and spaces elsewhere
    "word " * 3000,
]


def proto_of(model: bytes) -> Any:
    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    proto.ParseFromString(model)
    return proto


def assert_same(name: str, text: str) -> None:
    found = BY_WORDS[name](text.encode())
    assert found.dtype == np.int32
    assert found.tolist() == WHOLE[name].encode(text)


@pytest.mark.parametrize("name", MODELS)
def test_tokens_of_words_are_those_of_the_text(name: str) -> None:
    assert has_words(proto_of(MODELS[name]))
    for text in [*ODD_TEXTS, *SAMPLE[:5], "\n".join(SAMPLE)]:
        assert_same(name, text)


@pytest.mark.parametrize("name", MODELS)
@given(text=st.text(st.sampled_from("ab 1\n\r\t\u2581\u00e9\U0001f600"), max_size=60))
def test_tokens_of_words_are_those_of_any_text(name: str, text: str) -> None:
    assert_same(name, text)


@pytest.mark.parametrize("name", MODELS)
def test_long_texts_are_encoded_in_parts(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 100)
    ends = [" ".join(SAMPLE[:9]) + end for end in ("", " ", "   ", "\n", " \n ")]
    odd = ["x" * 500, "x" * 150 + "   ", "\n" * 300, " " * 300]
    for text in ["\n".join(SAMPLE[:20]), *odd, *ends]:
        assert_same(name, text)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_REMEMBERED", 1000)
    encode = text_encoder(MODELS["ours"], WHOLE["ours"])
    for text in SAMPLE * 2:
        assert encode(text.encode()).tolist() == WHOLE["ours"].encode(text)
        known = encode._known  # type: ignore[attr-defined]
        assert sum(map(len, known)) <= 1000 + len(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ours", True),
        ("newline is bytes", False),
        ("newlines together", False),
        ("a space in front, no bytes", False),
    ],
)
def test_newline_is_a_word_where_nothing_joins_it(name: str, expected: bool) -> None:
    assert newline_is_word(proto_of(MODELS[name])) == expected


def test_unknown_space_is_no_border() -> None:
    """What is unknown becomes one token with the unknown in front of it."""
    proto = proto_of(MODELS["no bytes"])
    for piece in proto.pieces:
        piece.piece = "never" if piece.piece == "\u2581" else piece.piece
    assert not has_words(proto)
    model = proto.SerializeToString()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    encode = text_encoder(model, processor)
    assert encode(b"\0 \0").tolist() == processor.encode("\0 \0") == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"remove_extra_whitespaces": True},
        {"normalization_rule_name": "nmt_nfkc"},
        {"user_defined_symbols": ["a b"]},
        {"user_defined_symbols": ["\n "]},
        {"split_by_whitespace": False, "vocab_size": 600},
        {"model_type": "unigram"},
        {"treat_whitespace_as_suffix": True},
    ],
    ids=str,
)
def test_another_model_encodes_texts_whole(changes: dict[str, Any]) -> None:
    model = trained(**changes)
    assert not has_words(proto_of(model))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    encode = text_encoder(model, processor)
    for text in [*ODD_TEXTS, *SAMPLE[:5]]:
        assert encode(text.encode()).tolist() == processor.encode(text)
