"""Texts become tokens as lm-evaluation-harness does it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.encoding import encode_pair, encode_prompt
from runtime.tokenizer import Tokenizer, load_tokenizer
from runtime.tokenizer_training import train_model
from specs.errors import InputError

SPACES = st.text(" \n\t", max_size=3)
TEXTS = st.text("ab yz\n.", max_size=12) | st.text(max_size=8)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "small.model"
    path.write_bytes(train_model([Path(os.__file__).read_bytes()], 400))
    return load_tokenizer(path)


def theirs(context: str, continuation: str, codec: Tokenizer) -> Any:
    """What lm-eval would score, with a tokenizer that puts EOS before every text."""
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import TemplateLM

    class Recorder(TemplateLM):
        eot_token_id = codec.eos_id

        def tok_encode(
            self, string: str, add_special_tokens: bool | None = None, **_: Any
        ) -> list[int]:
            first = [] if add_special_tokens is False else [codec.eos_id]
            return [*first, *codec.encode(string)]

        def _loglikelihood_tokens(self, requests: Any, **_: Any) -> Any:
            return requests

        def loglikelihood_rolling(
            self, requests: Any, disable_tqdm: bool = False
        ) -> Any:
            raise NotImplementedError

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

    instance = Instance(
        request_type="loglikelihood", doc={}, arguments=(context, continuation), idx=0
    )
    (asked,) = Recorder().loglikelihood([instance], disable_tqdm=True)
    return (*asked[1], *asked[2]), len(asked[2])


@given(TEXTS, SPACES, SPACES, TEXTS.filter(bool))
def test_pairs_are_cut_as_lm_eval_cuts_them(
    codec: Tokenizer, context: str, end: str, start: str, continuation: str
) -> None:
    context, continuation = context + end, start + continuation
    tokens, num_scored = theirs(context, continuation, codec)
    if num_scored < 1:
        with pytest.raises(InputError, match=r"leaves nothing of"):
            encode_pair(context, continuation, codec)
        return
    found = encode_pair(context, continuation, codec)
    assert (found.tokens, found.num_scored) == (tokens, num_scored)


def test_spaces_before_a_continuation_belong_to_it(codec: Tokenizer) -> None:
    assert encode_pair("import ", "os", codec) == encode_pair("import", " os", codec)


def test_text_without_context_follows_eos(codec: Tokenizer) -> None:
    found = encode_pair("", "import", codec)
    assert found.tokens == (codec.eos_id, *codec.encode("import"))
    assert found.num_scored == len(found.tokens) - 1
    assert encode_prompt("import", codec) == found.tokens
    assert encode_prompt("", codec) == (codec.eos_id,)
