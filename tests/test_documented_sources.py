"""The sources that the documentation shows are sources that codemix takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from spec_examples import RATE, document

from specs.loading import load_experiment
from specs.yaml_values import parse_document

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLES = [
    (name, found)
    for name in ("filters.md", "readers.md", "sources.md")
    for found in re.findall(
        r"^```yaml\n(sources:\n.*?)^```", (DOCS / name).read_text(), re.M | re.S
    )
]


def test_there_are_examples_to_check() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_a_documented_source_loads(name: str, text: str, tmp_path: Path) -> None:
    sources = parse_document(text, name).value["sources"]
    stage = {
        "name": "one",
        "tokens": "10K",
        "mixture": dict.fromkeys(sources, 1),
        "learning_rate": RATE,
    }
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps(document(sources=sources, stages=[stage])))
    experiment = load_experiment(path)
    assert {one.pinned_as or key for key, one in experiment.sources.items()} == set(
        sources
    )
