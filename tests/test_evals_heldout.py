from __future__ import annotations

import gzip
import math
from fractions import Fraction

import numpy as np
import pytest
from eval_fakes import (
    EOS,
    VOCAB_SIZE,
    ByteCodec,
    FakeModel,
    MemoryStore,
    pair_losses,
)
from hypothesis import given
from hypothesis import strategies as st

from evals.baselines import count_tokens, measure_baselines, unigram_bits
from evals.heldout import sample_heldout, score_heldout
from evals.scoring import windows_of
from specs.errors import InputError, RunError

TEXTS = ["def f(x):\n    return x\n", "The sky is blue.", "naïve café", "x" * 50]


def scorer(token_losses=pair_losses, rows: int = 3, length: int = 8) -> FakeModel:
    return FakeModel(token_losses=token_losses, rows=rows, length=length)


@given(st.integers(2, 60), st.integers(1, 20))
def test_windows_score_each_token_but_the_first_once(size, length):
    stream = np.arange(size, dtype=np.int32)
    windows = windows_of(stream, length, pad=-1)
    labels = windows[:, 1:].ravel()
    np.testing.assert_array_equal(labels[: size - 1], stream[1:])
    assert set(labels[size - 1 :].tolist()) <= {-1}
    inputs = windows[:, :-1].ravel()
    np.testing.assert_array_equal(inputs[: size - 1], stream[:-1])


@pytest.mark.parametrize("rows", [1, 2, 3, 64])
@pytest.mark.parametrize("length", [1, 7, 8, 500])
def test_heldout_scores_add_up_every_token_after_the_one_before(rows, length):
    samples = sample_heldout({"code": MemoryStore(TEXTS)})
    score = score_heldout(samples, scorer(rows=rows, length=length))
    stream = np.concatenate([[EOS], *samples["code"].documents]).astype(np.int32)
    # Exact sum of float32 numbers, rounded once.
    nats = float(sum(map(Fraction, pair_losses(stream[None])[0].tolist())))
    num_tokens = sum(len(text.encode()) + 1 for text in TEXTS)
    num_bytes = sum(len(text.encode()) for text in TEXTS)
    assert score.values == {
        "code.loss": nats / num_tokens,
        "code.bits_per_byte": nats / math.log(2) / num_bytes,
    }


def test_a_model_that_knows_nothing_pays_for_the_whole_vocabulary():
    def clueless(tokens):
        shape = tokens[:, 1:].shape
        return np.full(shape, math.log(VOCAB_SIZE), np.float32)

    samples = sample_heldout({"code": MemoryStore(["a" * 99])})
    score = score_heldout(samples, scorer(clueless))
    # 100 tokens, EOS with them, for 99 bytes.
    assert score.values["code.bits_per_byte"] == pytest.approx(
        math.log2(VOCAB_SIZE) * 100 / 99, rel=1e-7
    )


def test_every_call_has_one_shape():
    shapes = set()

    def spy(tokens):
        shapes.add(tokens.shape)
        return pair_losses(tokens)

    score_heldout(
        sample_heldout({"code": MemoryStore(TEXTS), "text": MemoryStore(TEXTS[:1])}),
        scorer(spy, rows=4, length=8),
    )
    assert shapes == {(4, 9)}


def test_a_cap_takes_whole_documents_from_anywhere_and_is_told():
    texts = [f"document {number}" for number in range(200)]
    store = MemoryStore(texts)
    sample = sample_heldout({"text": store}, max_tokens=300)["text"]
    decoded = [ByteCodec().decode(tokens.tolist()[:-1]) for tokens in sample.documents]
    assert set(decoded) <= set(texts)
    assert decoded != texts[: len(decoded)]
    assert max(texts.index(text) for text in decoded) > 100
    assert sample.num_bytes == sum(map(len, decoded))
    assert 280 < sample.num_tokens <= 300
    score = score_heldout({"text": sample}, scorer())
    assert score.detail["sources"]["text"] == {
        "documents": len(decoded),
        "documents_in_split": 200,
        "tokens": sample.num_tokens,
        "tokens_in_split": store.num_tokens,
        "bytes": sample.num_bytes,
    }


def test_one_document_is_scored_however_small_the_cap():
    sample = sample_heldout({"text": MemoryStore(["x" * 100])}, max_tokens=5)["text"]
    assert sample.num_tokens == 101


def test_without_a_cap_in_reach_everything_is_scored():
    sample = sample_heldout({"text": MemoryStore(TEXTS)})["text"]
    decoded = [ByteCodec().decode(tokens.tolist()[:-1]) for tokens in sample.documents]
    assert sorted(decoded) == sorted(TEXTS)


def test_sources_that_hold_nothing_out_are_all_named():
    stores = {"b": MemoryStore([]), "a": MemoryStore([]), "c": MemoryStore(TEXTS)}
    with pytest.raises(InputError, match="no document of the source") as caught:
        sample_heldout(stores)
    assert [problem.path for problem in caught.value.problems] == [
        "sources.a.holdout",
        "sources.b.holdout",
    ]


def test_a_loss_that_is_not_finite_stops_with_a_diagnosis():
    def diverged(tokens):
        losses = pair_losses(tokens)
        losses[0, 0] = np.nan
        return losses

    samples = sample_heldout({"text": MemoryStore(TEXTS)})
    with pytest.raises(RunError, match="losses are not finite"):
        score_heldout(samples, scorer(diverged))


def test_unigram_is_the_cost_at_training_frequencies():
    train = MemoryStore(["aab"])
    sample = sample_heldout({"text": MemoryStore(["abz"])})["text"]
    counts = count_tokens(train, VOCAB_SIZE, max_counted=10**6)
    # Counts a 2, b 1, EOS 1, z 0, and one more of every token.
    total = 4 + VOCAB_SIZE
    expected = sum(-math.log2((count + 1) / total) for count in (2, 1, 0, 1))
    assert unigram_bits(sample, counts) == pytest.approx(expected, rel=1e-14)


def test_counting_stops_at_the_cap():
    counts = count_tokens(MemoryStore(["aab"]), VOCAB_SIZE, max_counted=2)
    assert counts.sum() == counts[2 + ord("a")] == 2


def test_baselines_are_bits_per_byte_of_the_same_text():
    heldout = MemoryStore(TEXTS)
    samples = sample_heldout({"code": heldout})
    score = measure_baselines(
        samples, {"code": MemoryStore(TEXTS)}, ByteCodec(), vocab_size=VOCAB_SIZE
    )
    text = "".join(
        ByteCodec().decode(tokens.tolist()[:-1]) for tokens in samples["code"].documents
    ).encode()
    assert sorted(score.values) == ["code.gzip", "code.unigram"]
    assert score.values["code.gzip"] == (
        8 * len(gzip.compress(text, compresslevel=9, mtime=0)) / len(text)
    )
    detail = score.detail["sources"]["code"]
    assert detail["documents_changed_by_the_tokenizer"] == 0
    assert detail["tokens_counted"] == heldout.num_tokens


def test_a_tokenizer_that_changes_text_is_told():
    class Lossy(ByteCodec):
        def decode(self, tokens):
            return super().decode(tokens).replace("é", "e")

    samples = sample_heldout({"code": MemoryStore(TEXTS)})
    score = measure_baselines(
        samples, {"code": MemoryStore(TEXTS)}, Lossy(), vocab_size=VOCAB_SIZE
    )
    detail = score.detail["sources"]["code"]
    assert detail["documents_changed_by_the_tokenizer"] == 1
