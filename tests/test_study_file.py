"""Studies: loaded with their specs, every problem in one pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from evals.catalogue import check_score_names
from specs import schema, study_reference
from specs.errors import CodemixError, InputError, SpecError
from specs.study_file import is_study, load_study
from specs.study_rules import name_without_seed
from specs.yaml_reader import read_document

TESTS = Path(__file__).parent
BAD_STUDIES = TESTS / "bad_studies"
GOOD_STUDIES = TESTS / "good_studies"
NAMES = sorted(path.stem for path in BAD_STUDIES.glob("*.yaml"))
VALIDATOR = Draft202012Validator(json.loads(schema.study_schema_path().read_text()))

# Bad studies whose fault no JSON Schema sees: it lies between values, or in a claim.
BETWEEN_VALUES = """
claims_of_other_units claims_that_do_not_parse claims_that_share_a_name
costs_of_unknown_models experiments_elsewhere figures_without_axis means_of_other_kinds
repeats_that_differ scores_from_nowhere unknown_experiments_and_stages unknown_names
unknown_points_and_scores wrong_in_several_files
"""


def refusal(path: Path) -> CodemixError:
    with pytest.raises(CodemixError, match=r".") as caught:
        load_study(path)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_study_has_its_golden_message(
    name: str, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD_STUDIES)
    error = refusal(Path(f"{name}.yaml"))
    assert isinstance(error, SpecError)
    for problem in error.problems:
        assert problem.file
        assert problem.fix
        assert not problem.what[0].isupper()
    golden(f"bad_studies/{name}.txt", f"{error}\n")


def test_a_study_has_its_experiments_in_order() -> None:
    study = load_study(GOOD_STUDIES / "everything.yaml")
    assert study.name == "everything"
    assert [(path.name, one.name) for path, one in study.experiments] == [
        ("two-stages.yaml", "two-stages"),
        ("seeds.yaml", "text-seed-1"),
        ("seeds.yaml", "text-seed-2"),
        ("seeds.yaml", "text-seed-12"),
    ]


def test_a_point_is_the_end_of_a_stage_of_every_repeat() -> None:
    points = load_study(GOOD_STUDIES / "everything.yaml").points
    text, balanced = points["text"], points["balanced"]
    assert text.experiments == ("text-seed-1", "text-seed-2", "text-seed-12")
    assert (text.stage, text.stage_index, text.label) == ("text", 0, "Text alone")
    assert balanced.experiments == ("two-stages",)
    assert (balanced.stage, balanced.stage_index) == ("balanced", 0)
    assert points["cooldown"].stage_index == 1


def test_expected_values_are_told_one_by_one() -> None:
    expected = load_study(GOOD_STUDIES / "everything.yaml").expected
    assert [(one.point, one.score, one.value) for one in expected] == [
        ("text", "reasoning", 49.0),
        ("text", "knowledge", 9.5),
        ("balanced", "nl", 31.5),
    ]
    assert expected[2].kind == "digitised"
    assert expected[2].reading_error == 0.03


def test_a_folder_of_specs_is_a_study_of_all_its_stages(tmp_path: Path) -> None:
    folder = tmp_path / "My Study"
    shutil.copytree(GOOD_STUDIES / "specs", folder)
    (folder / "_parent.yaml").write_text("no: spec\n")
    study = load_study(folder)
    assert study.name == "my-study"
    assert {name: one.experiments for name, one in study.points.items()} == {
        "text": ("text-seed-1", "text-seed-2", "text-seed-12"),
        "two_stages_balanced": ("two-stages",),
        "two_stages": ("two-stages",),
    }
    assert {name: (one.suite, one.metric) for name, one in study.scores.items()} == {
        "nl_reasoning": ("nl-reasoning", None),
        "heldout_text": ("heldout", "text.bits_per_byte"),
        "heldout_web": ("heldout", "web.bits_per_byte"),
    }
    assert study.scores["nl_reasoning"].unit == "percent"
    assert study.scores["heldout_web"].better == "lower"


def test_one_spec_with_a_matrix_is_a_study() -> None:
    study = load_study(GOOD_STUDIES / "specs" / "seeds.yaml")
    assert study.name == "seeds"
    assert len(study.experiments) == 3
    assert list(study.points) == ["text"]


def test_a_folder_goes_by_its_study_file(tmp_path: Path) -> None:
    shutil.copytree(GOOD_STUDIES / "specs", tmp_path / "specs")
    shutil.copy(GOOD_STUDIES / "everything.yaml", tmp_path / "study.yaml")
    by_folder = load_study(tmp_path)
    assert by_folder.name == "everything"
    assert by_folder.file == load_study(tmp_path / "study.yaml").file


def test_without_a_list_all_specs_beside_it_are_meant(tmp_path: Path) -> None:
    shutil.copytree(GOOD_STUDIES / "specs", tmp_path, dirs_exist_ok=True)
    (tmp_path / "_parent.yaml").write_text("no: spec\n")
    (tmp_path / "study.yaml").write_text("study: 1\nname: all\n")
    found = load_study(tmp_path).experiments
    assert [path.name for path, _ in found][-1] == "two-stages.yaml"
    assert len(found) == 4


def test_tasks_and_judges_beside_specs_are_no_experiments(tmp_path: Path) -> None:
    shutil.copytree(GOOD_STUDIES / "specs", tmp_path, dirs_exist_ok=True)
    for language in ("task", "suite", "judge"):
        (tmp_path / f"{language}.yaml").write_text(f"# Mine\ncodemix_{language}: 1\n")
    assert len(load_study(tmp_path).experiments) == 4


def test_a_folder_without_specs_is_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path), InputError)
    assert isinstance(refusal(tmp_path / "nowhere.yaml"), InputError)
    (tmp_path / "study.yaml").write_text("study: 1\nname: all\n")
    assert "there are no specs beside it" in str(refusal(tmp_path))


def test_studies_and_specs_are_told_apart() -> None:
    assert is_study(GOOD_STUDIES / "everything.yaml")
    assert is_study(GOOD_STUDIES)
    assert not is_study(GOOD_STUDIES / "specs" / "seeds.yaml")
    assert not is_study(GOOD_STUDIES / "nowhere.yaml")


def test_the_frozen_schema_of_studies_is_fresh() -> None:
    frozen = schema.study_schema_path().read_text("utf-8")
    assert frozen == schema.study_schema_text(), "run `python -m specs.schema --write`"
    Draft202012Validator.check_schema(json.loads(frozen))


def test_the_reference_of_studies_is_fresh() -> None:
    written = study_reference.PATH.read_text("utf-8")
    assert written == study_reference.study_reference_text(), (
        "run `python -m specs.reference --write`"
    )


def test_the_example_in_the_document_is_a_study_of_the_papers_specs(
    tmp_path: Path,
) -> None:
    for spec in (TESTS.parent / "specs" / "paper").glob("*.yaml"):
        shutil.copy(spec, tmp_path)
    text = (TESTS.parent / "docs" / "studies.md").read_text("utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "study.yaml").write_text(example)
    study = load_study(tmp_path)
    assert {path.name for path, _ in study.experiments} == {
        "text-only-470m.yaml",
        "balanced-to-text-470m.yaml",
        "sweep-470m.yaml",
    }
    assert study.points["balanced_init"].stage_index == 0
    assert not check_score_names(study)


def test_every_key_of_a_study_is_described() -> None:
    frozen = json.loads(schema.study_schema_path().read_text("utf-8"))
    for definition in [frozen, *frozen["$defs"].values()]:
        assert definition["description"]
        for value in definition["properties"].values():
            assert value.get("description")


def test_the_schema_refuses_all_that_it_can_see() -> None:
    everything = read_document(GOOD_STUDIES / "everything.yaml").value
    assert not list(VALIDATOR.iter_errors(everything))
    used = {key for key in VALIDATOR.schema["properties"] if key in everything}
    assert used == set(VALIDATOR.schema["properties"])
    passed = {
        name
        for name in NAMES
        if VALIDATOR.is_valid(read_document(BAD_STUDIES / f"{name}.yaml").value)
    }
    assert passed == set(BETWEEN_VALUES.split())


@pytest.mark.parametrize(
    ("name", "seed", "without"),
    [
        ("text-seed-1", 1, "text"),
        ("text-seed-1-mixture-code100", 1, "text-mixture-code100"),
        ("text-seed-12", 1, "text-seed-12"),
        ("text-seed-1", 2, "text-seed-1"),
    ],
)
def test_only_the_seed_of_an_experiment_is_taken_out_of_its_name(
    name: str, seed: int, without: str
) -> None:
    _, experiment = load_study(GOOD_STUDIES / "everything.yaml").experiments[0]
    named = experiment.model_copy(update={"name": name, "seed": seed})
    assert name_without_seed(named) == without
