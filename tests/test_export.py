from __future__ import annotations

import json
import os

import numpy as np
import pytest
from order_plans import MODEL

from runtime.export import check_exportable, export_hf
from runtime.hf_tokenizer import tokenizer_files
from runtime.tensors import tensor_shapes
from runtime.tokenizer import load_tokenizer
from runtime.tokenizer_training import train_model
from specs.errors import InputError

NEEDS = "the packages of the extra `bench`"

TEXTS = [
    "def f(x):\n    return x ** 2  # naïve\n\n\n",
    "   spaces   before and after   ",
    "tabs\tand\r\nother line ends\x0b\x0c",
    "1234567 0.5e-3 café ☃ \U0001f600 ½ ﬁ",
    "</s> <pad> <unk> <0x41> are only text",
    " " * 40,
    "\n",
    "",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer trained on some of Python's own source."""
    folder = os.path.dirname(os.__file__)
    documents = []
    for name in ("argparse.py", "ast.py", "calendar.py", "csv.py", "os.py"):
        with open(os.path.join(folder, name), "rb") as file:
            documents.append(file.read())
    path = tmp_path_factory.mktemp("tokenizer") / "small.model"
    path.write_bytes(train_model(documents, MODEL.vocab_size * 2))
    return path


def model_of(**changes):
    sizes = {"width": 64, "heads": 4, "kv_heads": 4, "ffn_width": 96, "layers": 3}
    vocab = {"vocab_size": MODEL.vocab_size * 2}
    return MODEL.model_copy(update={**sizes, **vocab, **changes})


def random_weights(model, rng):
    # Larger than at the start of training, so that every part of the model matters.
    return {
        name: (rng.standard_normal(shape) * 0.2 + ("norm" in name)).astype(np.float32)
        for name, shape in tensor_shapes(model).items()
    }


def export(model, weights, tokenizer, folder):
    return export_hf(
        model,
        weights,
        tokenizer=tokenizer,
        folder=folder,
        max_length=128,
        origin={"entry": "0" * 64},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kv_heads": 2},
        {"tied_embeddings": False},
        {"rope_theta": "500000", "norm_epsilon": "0.01"},
    ],
    ids=["default", "grouped", "untied", "numbers"],
)
def test_transformers_gives_the_same_logits(tmp_path, tokenizer, changes, rng):
    torch = pytest.importorskip("torch", reason=NEEDS)
    transformers = pytest.importorskip("transformers", reason=NEEDS)
    import jax.numpy as jnp

    from runtime.blocks import LaneProgram
    from runtime.fused import fuse
    from runtime.model import logits

    model = model_of(**changes)
    weights = random_weights(model, rng)
    export(model, weights, tokenizer, tmp_path / "exported")
    loaded, report = transformers.CohereForCausalLM.from_pretrained(
        tmp_path / "exported", output_loading_info=True
    )
    assert not any(report.values())
    tokens = rng.integers(0, model.vocab_size, (2, 128), dtype=np.int32)
    with torch.no_grad():
        theirs = loaded(torch.from_numpy(tokens.astype(np.int64))).logits.numpy()
    tensors = {name: jnp.asarray(weight) for name, weight in weights.items()}
    ours = np.asarray(
        logits(LaneProgram(model), fuse(model, tensors), jnp.asarray(tokens))
    )
    # Two implementations that round differently; logits are of the order of 10.
    assert 1 < np.abs(ours).max() < 100
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)


def test_transformers_reads_the_same_tokens_and_texts(tmp_path, tokenizer, rng):
    transformers = pytest.importorskip("transformers", reason=NEEDS)
    model = model_of()
    folder = tmp_path / "exported"
    export(model, random_weights(model, rng), tokenizer, folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = load_tokenizer(tokenizer)
    assert len(theirs) == ours.vocab_size
    assert theirs.eos_token_id == ours.eos_id
    with open(os.__file__, encoding="utf-8") as file:
        source = file.read()
    for text in [*TEXTS, *source.split("\n\n")]:
        tokens = theirs.encode(text, add_special_tokens=False)
        assert tokens == ours.encode(text)
        # As in training, where a document follows the EOS of the one before.
        assert theirs.encode(text) == [ours.eos_id, *tokens]
        assert theirs.decode(tokens) == text


def test_the_files_say_where_they_come_from_and_never_change(tmp_path, tokenizer, rng):
    model = model_of()
    weights = random_weights(model, rng)
    one, other = tmp_path / "one", tmp_path / "deep" / "other"
    names = export(model, weights, tokenizer, one)
    assert names == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]
    assert names == export(model, weights, tokenizer, other)
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    config = json.loads((one / "config.json").read_bytes())
    assert config["codemix"] == {"entry": "0" * 64}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "one"]


def test_all_that_cohere_can_not_express_is_named():
    with pytest.raises(InputError, match="to export") as caught:
        check_exportable(model_of(block="sequential", norm="rmsnorm"))
    assert [problem.path for problem in caught.value.problems] == [
        "model.block",
        "model.norm",
    ]


def test_nothing_is_overwritten(tmp_path, tokenizer, rng):
    model = model_of()
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="is there already"):
        export(model, random_weights(model, rng), tokenizer, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failed_export_leaves_nothing_behind(tmp_path, tokenizer, rng):
    model = model_of()
    weights = random_weights(model, rng) | {"unheard_of": np.zeros((3, 1))}
    with pytest.raises(KeyError, match="unheard_of"):
        export(model, weights, tokenizer, tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_changes_text_is_refused(tmp_path):
    import io

    import sentencepiece

    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g"] * 9),
        model_writer=data,
        model_type="unigram",
        vocab_size=12,
        minloglevel=2,
    )
    path = tmp_path / "other.model"
    path.write_bytes(data.getvalue())
    with pytest.raises(InputError, match=r"other\.model: the tokenizer") as caught:
        tokenizer_files(path, max_length=8)
    assert len(caught.value.problems) == 4
