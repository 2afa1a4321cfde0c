"""The JSON Schema: frozen, fresh, and of one mind with the types."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from specs import reference, schema
from specs.errors import SpecError
from specs.experiment import Experiment
from specs.loading import load_experiment, load_experiments
from specs.yaml_reader import read_document

TESTS = Path(__file__).parent
SPECS = TESTS.parent / "specs"
GOOD = [
    *sorted((TESTS / "good_specs").rglob("*.yaml")),
    *sorted(SPECS.glob("*.yaml")),
]
FROZEN = json.loads(schema.schema_path().read_text("utf-8"))
VALIDATOR = Draft202012Validator(FROZEN)

# Bad specs whose fault no JSON Schema sees: it lies between fields, in other files, in
# arithmetic or in the YAML itself. All others must be red in an editor.
BETWEEN_FIELDS = """
checkpoints_kept_that_are_not_made checkpoints_where_they_cannot_lie
accumulation_beyond_lanes accumulation_not_a_power_of_two address_of_nothing
amends_written_by_hand extends_an_unknown_entry
choices_without_file decay_longer_than_stage deduplicate_benchmarks_of_nothing
deduplicate_nothing extends_a_bad_parent
extends_a_broken_parent extends_a_parent_without_version extends_absolute
extends_and_removes_no_matrix
extends_and_removes_what_is_not_there extends_and_removes_what_is_used
extends_in_a_circle extends_itself extends_missing_file extends_outside_workspace
filter_keeps_nothing first_stage_keeps_optimizer first_stage_takes_over_a_rate
hand_over_from_zero heads_do_not_divide_width heldout_with_file
kv_heads_do_not_divide_heads lane_does_not_divide lanes_not_a_power_of_two
later_stage_without_optimizer reader_of_columns_on_text_files
reader_with_a_field_that_it_ignores where_on_notebook_files
learning_rate_rises_in_decay matrix_place_unknown
matrix_places_overlap matrix_too_large matrix_typo_in_key matrix_typo_in_place
matrix_value_wrong matrix_varies_the_name mixture_in_itself mixture_named_like_a_source
mixture_without_use mixtures_in_a_circle mixtures_nested_too_deep path_absolute
path_as_file_address path_outside_workspace path_with_backslashes path_with_line_break
share_of_everything source_without_sequence source_without_use
stage_lengths_do_not_divide stage_names_repeated stage_shorter_than_a_step
stage_too_long subsets_named_like_a_mixture subsets_of_one_use subsets_of_text_files
subsets_of_values_without_names subsets_too_small subsets_without_use
subsets_written_out_by_hand top_values_of_subsets top_values_of_text_files
tokenizer_outside_workspace tokens_not_whole too_many_steps
unknown_source_in_mixture unknown_source_in_stage unknown_source_in_tokenizer
warmup_falls warmup_from_without_warmup warmup_longer_than_stage where_on_text_files
"""


def test_the_frozen_schema_is_fresh() -> None:
    frozen = schema.schema_path().read_text("utf-8")
    assert frozen == schema.schema_text(), "run `python -m specs.schema --write`"


def test_the_reference_is_fresh() -> None:
    written = reference.PATH.read_text("utf-8")
    assert written == reference.reference_text(), (
        "run `python -m specs.reference --write`"
    )


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(FROZEN)
    assert FROZEN["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_of_the_language_is_described() -> None:
    for name, definition in FROZEN["$defs"].items():
        assert definition["description"], name
        for key, value in definition["properties"].items():
            assert value.get("description") or "$ref" in value, f"{name}.{key}"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_passes_as_it_is_written(path: Path) -> None:
    assert not list(VALIDATOR.iter_errors(read_document(path).value))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_resolved_spec_passes(path: Path) -> None:
    if path.parent.name == "parents" and path.stem != "base":
        return
    for experiment in load_experiments(path):
        schema.validate_document(experiment.to_json())


def parsed_bad_specs() -> dict[str, Any]:
    found = {}
    for path in sorted((TESTS / "bad_specs").glob("*.yaml")):
        try:
            found[path.stem] = read_document(path).value
        except SpecError:
            continue  # Not a document at all: nothing for a schema to judge.
    return found


def test_the_schema_refuses_all_that_it_can_see() -> None:
    passed = {
        name for name, value in parsed_bad_specs().items() if VALIDATOR.is_valid(value)
    }
    assert passed == set(BETWEEN_FIELDS.split())


EVERYTHING = load_experiment(TESTS / "good_specs" / "everything.yaml").to_json()
STRANGE = [None, True, 0, -1, 1, 2.5, "", "x", "1K", "5%", "previous", [], {}, ["x"]]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = enumerate(value)
    found = [place] if place else []
    return found + [one for key, part in inner for one in places(part, (*place, key))]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    document = copy.deepcopy(EVERYTHING)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places(document)))
        holder: Any = document
        for part in place[:-1]:
            holder = holder[part]
        action = draw(st.sampled_from(["replace", "delete", "add"]))
        if action == "delete":
            del holder[place[-1]]
        elif action == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["odd", "Odd", "file", "text"]))] = 1
        else:
            holder[place[-1]] = copy.copy(draw(st.sampled_from(STRANGE)))
    return document


def is_experiment(document: dict[str, Any]) -> bool:
    try:
        Experiment.model_validate(document)
    except ValueError:
        return False
    return True


@given(damaged())
def test_what_the_types_accept_the_schema_accepts(document: dict[str, Any]) -> None:
    # So an editor never shows red what `codemix validate` takes.
    if is_experiment(document):
        assert VALIDATOR.is_valid(document)


def test_documents_of_other_programs_are_checked_in_one_pass() -> None:
    document = copy.deepcopy(EVERYTHING)
    document["seed"] = -1
    document["stages"][1]["learning_rate"]["final"] = "low"
    del document["batch"]["length"]
    document["colour"] = "blue"
    with pytest.raises(SpecError, match=r"seed") as caught:
        schema.validate_document(document)
    places = [problem.path for problem in caught.value.problems]
    assert places == ["", "batch", "seed", "stages.1.learning_rate.final"]


@pytest.mark.parametrize("value", [None, [], 3, "codemix: 1", {}, {"codemix": 2}])
def test_what_is_no_spec_at_all_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=r"."):
        schema.validate_document(value)


def test_a_long_value_is_not_printed_back() -> None:
    with pytest.raises(SpecError, match=r"seed") as caught:
        schema.validate_document({**EVERYTHING, "seed": "9" * 100_000})
    assert len(str(caught.value)) < 1000


def test_the_command_line_of_the_schema_says_whether_it_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "FOLDER", tmp_path)
    assert schema.main([]) == 1
    assert "python -m specs.schema --write" in capsys.readouterr().err
    assert schema.main(["--write"]) == 0
    assert schema.main([]) == 0
