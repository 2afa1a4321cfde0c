"""Specs for tests: a small one to change, and random ones."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from specs.experiment import Experiment

RATE = {"schedule": "constant", "peak": 1e-3}


def document(**changes: Any) -> dict[str, Any]:
    """A small valid spec."""
    return {
        "codemix": 1,
        "name": "small",
        "seed": 1,
        "model": {"preset": "debug"},
        "tokenizer": {"vocab_size": 512, "file": "t.model"},
        "sources": {"text": {"uri": "t.jsonl"}, "web": {"uri": "w.jsonl"}},
        "batch": {"sequences": 8, "length": 16},
        "stages": [
            {
                "name": "one",
                "tokens": "10K",
                "mixture": {"text": 3, "web": 1},
                "learning_rate": RATE,
            }
        ],
        **changes,
    }


def stage(name: str, tokens: int, mixture: dict[str, float], **more: Any) -> Any:
    return {
        "name": name,
        "tokens": tokens,
        "mixture": mixture,
        "learning_rate": RATE,
        "optimizer": "keep",
        **more,
    }


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    names = [f"s{index}" for index in range(draw(st.integers(1, 4)))]
    mixtures = {}
    usable = list(names)
    for index in range(draw(st.integers(0, 3))):
        parts = draw(st.lists(st.sampled_from(usable), min_size=1, unique=True))
        mixtures[f"m{index}"] = {part: draw(st.integers(1, 99)) for part in parts}
        usable.append(f"m{index}")
    weight = st.integers(1, 99)
    stages = [
        stage(
            f"stage{index}",
            draw(st.integers(1, 10**8)),
            {name: draw(weight) for name in usable},
            optimizer="keep" if index else None,
            batch={
                "sequences": draw(st.sampled_from([1, 8, 48])),
                "length": draw(st.sampled_from([16, 32, 128])),
            },
        )
        for index in range(draw(st.integers(1, 3)))
    ]
    sources = {name: {"uri": name} for name in names}
    try:
        return Experiment.model_validate(
            document(sources=sources, mixtures=mixtures, stages=stages)
        )
    except ValidationError:
        # Too short for a step, or for a sequence of every source.
        assume(False)
        raise
