"""`deduplicate` in a spec: what it comes to, and which results depend on it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.declared import declared_identities
from specs.deduplication import RECALL, bands_of
from specs.experiment import Experiment
from specs.loading import load_experiment
from specs.resolve import plan_experiment

PARENT = (Path(__file__).parent / "bad_specs" / "parents" / "good.yaml").read_text()
RULE = "deduplicate: {sources: [text, web], near: {threshold: 80%}}\n"


def experiment(folder: Path, text: str, name: str = "spec.yaml") -> Experiment:
    (folder / name).write_text(text)
    return load_experiment(folder / name)


def identities(found: Experiment) -> list[str]:
    return declared_identities(found, plan_experiment(found))


@given(
    hundredths=st.integers(30, 99),
    permutations=st.integers(16, 300),
)
def test_bands_are_the_longest_that_find_a_pair_at_the_threshold(
    hundredths: int, permutations: int
) -> None:
    threshold = Fraction(hundredths, 100)

    def chance(rows: int) -> Fraction:
        return 1 - (1 - threshold**rows) ** (permutations // rows)

    bands, rows = bands_of(str(hundredths / 100), permutations)
    assert bands == permutations // rows
    assert chance(rows) >= RECALL
    assert all(chance(more) < RECALL for more in range(rows + 1, permutations + 1))


def test_a_spec_without_deduplication_is_written_as_before(tmp_path: Path) -> None:
    found = experiment(tmp_path, PARENT)
    assert "deduplicate" not in found.to_json()
    assert "deduplicate" not in plan_experiment(found).to_json()


def test_the_rule_is_planned_with_its_defaults(tmp_path: Path) -> None:
    plan = plan_experiment(experiment(tmp_path, PARENT + RULE))
    assert plan.to_json()["deduplicate"] == {
        "sources": ["text", "web"],
        "exact": True,
        "normalise": "none",
        "near": {
            "threshold": "0.8",
            "shingle": "words",
            "size": 5,
            "permutations": 128,
            "bands": 21,
            "rows": 6,
            "seed": 1,
            "version": 1,
        },
        "version": 1,
    }
    assert plan.deduplicated_until("text") == ("text",)
    assert plan.deduplicated_until("web") == ("text", "web")


def test_sources_that_an_heir_does_not_use_leave_the_list(tmp_path: Path) -> None:
    experiment(tmp_path, PARENT + RULE, "parent.yaml")
    heir = "codemix: 1\nname: heir\nextends: parent.yaml\n"
    for name, left in (("text", ("text",)), ("web", ("web",))):
        stages = (
            f"stages:\n  - {{name: a, tokens: 64K, mixture: {{{name}: 1}}, "
            "learning_rate: {schedule: constant, peak: 0.001}}\n"
        )
        found = experiment(tmp_path, heir + stages)
        assert found.deduplicate is not None
        assert found.deduplicate.sources == left


@pytest.mark.parametrize(
    "other",
    [
        RULE.replace("80%", "81%"),
        RULE.replace("near", "exact: false, near"),
        RULE.replace("[text, web]", "[web, text]"),
        RULE.replace("[text, web]", "[text]"),
        RULE.replace("[text, web]", "[web]"),
        "",
    ],
)
def test_another_rule_is_another_result(tmp_path: Path, other: str) -> None:
    one = experiment(tmp_path, PARENT + RULE)
    two = experiment(tmp_path, PARENT + other)
    assert identities(one)[0] != identities(two)[0]


def test_a_source_behind_changes_nothing_of_those_before_it(tmp_path: Path) -> None:
    text_only = PARENT.replace("mixture: {text: 50, code: 50}", "mixture: {text: 1}")
    assert text_only != PARENT
    one = experiment(tmp_path, text_only + RULE)
    two = experiment(tmp_path, text_only + RULE.replace("[text, web]", "[text]"))
    assert identities(one)[0] == identities(two)[0]
    assert identities(one)[1] != identities(two)[1]
