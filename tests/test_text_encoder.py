"""Encoding line by line gives the tokens of the whole text, or isn't done."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import sentencepiece
from data_workspace import sentences
from hypothesis import given
from hypothesis import strategies as st

from runtime import text_encoder as module
from runtime.text_encoder import newline_of, text_encoder
from runtime.tokenizer_training import train_model

SAMPLE = sentences(300)
MODEL = train_model([text.encode() for text in SAMPLE], 320)
PROCESSOR = sentencepiece.SentencePieceProcessor(model_proto=MODEL)
BY_LINES = text_encoder(MODEL, PROCESSOR)

# What tokenizers stumble over, and the borders of lines.
ODD_TEXTS = [
    "",
    "\n",
    "\n\n\n a\n\n",
    " \n \n",
    "\tif x:\r\n\t\treturn  1_000\n",
    "\u65e5\u672c\u8a9e\n\u0440\u0443\u0441 \U0001f600",
    "\u2581 a \u2581\u2581b\n\u2581",
    "<s> </s> <unk> <pad> <0x0A>\n<0x0A>",
    "nul\x00nul\n\x00",
    "a\u2028b\x0bc\x0cd\x85e",  # ends of lines elsewhere
    "word " * 3000,
]


def assert_same(text: str) -> None:
    whole = PROCESSOR.encode(text)
    found = BY_LINES(text.encode())
    assert found.dtype == np.int32
    assert found.tolist() == whole


@pytest.mark.parametrize("text", [*ODD_TEXTS, *SAMPLE[:5], "\n".join(SAMPLE)])
def test_tokens_of_lines_are_those_of_the_text(text: str) -> None:
    assert newline_of(MODEL) is not None
    assert_same(text)


@given(st.text(st.sampled_from("ab 1\n\r\t\u2581\u00e9\U0001f600"), max_size=60))
def test_tokens_of_lines_are_those_of_any_text(text: str) -> None:
    assert_same(text)


def test_long_texts_are_encoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 100)
    for text in ("\n".join(SAMPLE[:20]), "x" * 500, "\n" * 300):
        assert_same(text)


def trained(**changes: Any) -> bytes:
    model = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 320,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "user_defined_symbols": ["\n"],
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE), model_writer=model, **{**options, **changes}
    )
    return model.getvalue()


def test_a_model_like_ours_is_encoded_by_lines() -> None:
    assert newline_of(trained()) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"add_dummy_prefix": True},
        {"remove_extra_whitespaces": True},
        {"normalization_rule_name": "nmt_nfkc"},
        {"user_defined_symbols": ["x"]},
        {"user_defined_symbols": ["\n", "\n\n"]},
        {"user_defined_symbols": ["\n", " \n"]},
        {"model_type": "unigram"},
        {"treat_whitespace_as_suffix": True},
    ],
    ids=str,
)
def test_another_model_encodes_texts_whole(changes: dict[str, Any]) -> None:
    model = trained(**changes)
    assert newline_of(model) is None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    encode = text_encoder(model, processor)
    for text in [*ODD_TEXTS, *SAMPLE[:5]]:
        assert encode(text.encode()).tolist() == processor.encode(text)
