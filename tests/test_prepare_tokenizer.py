"""Tokenizers: trained to the same bytes every time, loaded, and true to the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_workspace import sentences, write_lines
from hypothesis import given
from hypothesis import strategies as st

from runtime import corpus, tokenizer_training
from runtime.shards import RowRange
from runtime.tokenizer import Tokenizer, load_tokenizer
from runtime.tokenizer_training import (
    SampledSource,
    TrainingJob,
    sample_documents,
    train_model,
    train_tokenizer,
)
from specs.errors import InputError
from specs.plan import PlannedSource

SPACE_OF_SENTENCEPIECE = "\u2581"


def planned(holdout: str = "0", on_corrupt: str = "error") -> PlannedSource:
    return PlannedSource(
        format="auto",
        field="text",
        where="{}",
        filters="[]",
        holdout=holdout,
        reserve=holdout,
        max_epochs="1",
        on_corrupt=on_corrupt,
    )


@pytest.fixture(scope="module")
def texts() -> list[str]:
    code = [one.text for one, _ in zip(corpus._code(), range(12), strict=False)]
    return [*code, *sentences(200)]


@pytest.fixture(scope="module")
def tokenizer(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "bpe.model"
    path.write_bytes(train_model([text.encode() for text in texts], 1000))
    return load_tokenizer(path)


def test_same_sample_gives_the_same_bytes(texts: list[str]) -> None:
    sample = [text.encode() for text in texts]
    assert train_model(sample, 600) == train_model(sample, 600)
    assert train_model(sample, 600) != train_model(sample[1:], 600)


@given(st.text().filter(lambda text: SPACE_OF_SENTENCEPIECE not in text))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(alphabet=" \t\n\ra0:", max_size=40))
def test_any_whitespace_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_code_keeps_its_shape_for_few_tokens(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("\n        ")) == 2
    assert len(tokenizer.encode("\n            return")) <= 3
    # Digits stand alone, so numbers of one length have one number of tokens.
    assert len(tokenizer.encode("20261123")) == 8
    assert tokenizer.encode("</s>") != [tokenizer.eos_id]
    assert tokenizer.eos_id not in tokenizer.encode("a </s> b")
    assert tokenizer.vocab_size == 1000


@pytest.mark.parametrize("vocab_size", [300, 320, 400])
def test_smallest_vocabularies_still_write_everything(
    tmp_path: Path, texts: list[str], vocab_size: int
) -> None:
    path = tmp_path / "small.model"
    path.write_bytes(train_model([text.encode() for text in texts], vocab_size))
    tokenizer = load_tokenizer(path)
    assert tokenizer.vocab_size == vocab_size
    text = "\u65e5\u672c = 5\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("sample", [[], [b""], [b"\n\n"], [b"too little"]])
def test_sample_that_is_too_small_is_an_error(sample: list[bytes]) -> None:
    with pytest.raises(InputError, match="no tokenizer of 5000 pieces") as caught:
        train_model(sample, 5000)
    assert "sample_bytes or the data larger" in (caught.value.problems[0].fix or "")


def sampled(files: list[Path], workspace: Path, **changes: object) -> list[bytes]:
    fields = {
        "planned": planned(holdout="0.2"),
        "files": [path.name for path in files],
        "shards": [
            [RowRange(file=index, start_row=0, stop_row=None)]
            for index in range(len(files))
        ],
        "order_key": "5",
        "sample_bytes": 10_000,
    }
    source = SampledSource.model_validate({**fields, **changes})
    return sample_documents(source, workspace)


def test_sample_has_the_size_asked_for_and_is_keyed(tmp_path: Path) -> None:
    files = [write_lines(tmp_path / "a.jsonl", sentences(500))]
    sample = sampled(files, tmp_path)
    assert 9_500 < sum(map(len, sample)) <= 10_000
    assert sampled(files, tmp_path) == sample
    assert sampled(files, tmp_path, order_key="6") != sample
    everything = sampled(files, tmp_path, sample_bytes=10**9)
    assert set(sample) < set(everything)
    assert len(everything) == len(set(everything))


def test_sample_is_of_the_training_split_alone(tmp_path: Path) -> None:
    from runtime.splits import Splitter

    files = [write_lines(tmp_path / "a.jsonl", sentences(500))]
    everything = sampled(files, tmp_path, sample_bytes=10**9)
    splitter = Splitter(holdout="0.2", reserve="0.2")
    assert {splitter.split_of(text) for text in everything} == {"train"}
    assert 350 < len(everything) < 450


def test_sample_of_a_huge_source_does_not_read_it_all(tmp_path: Path) -> None:
    files = [
        write_lines(tmp_path / f"{index}.jsonl", sentences(30, seed=index))
        for index in range(10)
    ]
    (tmp_path / "9.jsonl").write_text("not read, so not found to be corrupt")
    sample = sampled(files, tmp_path, sample_bytes=500)
    assert sum(map(len, sample)) <= 500


def test_model_is_named_by_its_digest(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", sentences(300))
    source = SampledSource(
        planned=planned(),
        files=("a.jsonl",),
        shards=((RowRange(file=0, start_row=0, stop_row=None),),),
        order_key="1",
        sample_bytes=50_000,
    )
    job = TrainingJob(
        sources={"a": source},
        vocab_size=320,
        workspace=str(tmp_path),
        folder=str(tmp_path / "made"),
    )
    sha256 = train_tokenizer(job, lambda _: None)
    assert [path.name for path in (tmp_path / "made").iterdir()] == [f"{sha256}.model"]
    assert tokenizer_training.load()(job.to_json(), lambda _: None) == sha256


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x0a\x02ab"])
def test_file_that_is_no_tokenizer_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.model").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.model: "):
        load_tokenizer(tmp_path / "x.model")


def test_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no tokenizer"):
        load_tokenizer(tmp_path / "x.model")
