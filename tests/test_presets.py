"""The presets have the sizes that docs/models.md gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from specs.costs import embedding_parameters, parameter_count
from specs.model import PRESETS, Model
from specs.plan import PlannedModel

DOCUMENT = Path(__file__).parent.parent / "docs" / "models.md"

VOCABULARIES = {
    "debug": 512,
    "tiny": 16_384,
    "small": 32_000,
    "470m": 256_000,
    "2.8b": 256_000,
}


def planned(name: str) -> PlannedModel:
    model: Any = Model.model_validate({"preset": name})
    sizes = {key: getattr(model, key) for key in ("layers", "width", "heads")}
    return PlannedModel(
        **sizes,
        kv_heads=model.kv_heads,
        ffn_width=model.ffn_width,
        vocab_size=VOCABULARIES[name],
        block=model.block,
        norm=model.norm,
        norm_epsilon="1e-05",
        rope_theta="10000",
        attention_mask=model.attention_mask,
        tied_embeddings=model.tied_embeddings,
        init=model.init,
        compute="bfloat16",
    )


def told(count: int) -> str:
    return f"{count:,}" if count < 10**6 else f"{count / 10**6:,.1f}M"


@pytest.mark.parametrize("name", PRESETS)
def test_the_document_tells_a_preset_as_it_is(name: str) -> None:
    model = planned(name)
    count = parameter_count(model)
    sizes = [model.layers, model.width, model.heads, model.ffn_width]
    cells = [
        f"`{name}`",
        *(f"{size:,}" for size in sizes),
        told(count - embedding_parameters(model)),
        f"{model.vocab_size:,}",
        told(count),
    ]
    assert f"| {' | '.join(cells)} |" in DOCUMENT.read_text("utf-8")


def test_the_presets_of_the_study_have_its_parameter_counts() -> None:
    # To the digits that it prints.
    assert round(parameter_count(planned("470m")) / 1e7) == 47
    assert round(parameter_count(planned("2.8b")) / 1e8) == 28


def test_tiny_and_small_are_of_the_size_of_their_names() -> None:
    assert parameter_count(planned("tiny")) == pytest.approx(10e6, rel=0.1)
    assert parameter_count(planned("small")) == pytest.approx(100e6, rel=0.1)
