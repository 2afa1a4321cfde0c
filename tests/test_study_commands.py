"""Studies on the command line: validated with their specs, their schema printed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codemix_cli.main import cli
from evals.catalogue import check_score_names
from specs.schema import study_schema_path
from specs.study_file import load_study

GOOD_STUDIES = Path(__file__).parent / "good_studies"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study, seen from the folder above."""
    shutil.copytree(GOOD_STUDIES / "specs", tmp_path / "s" / "specs")
    shutil.copy(GOOD_STUDIES / "everything.yaml", tmp_path / "s" / "study.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s" / "study.yaml"


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


@pytest.mark.parametrize("path", ["s", "s/study.yaml"])
def test_validate_tells_each_experiment_and_the_study(study: Path, path: str) -> None:
    shown = codemix("validate", path)
    assert shown.exit_code == 0, shown.output
    told = shown.stdout.splitlines()
    assert [line.split()[1] for line in told[:4]] == [
        *("two-stages", "text-seed-1", "text-seed-2", "text-seed-12")
    ]
    assert told[4] == (
        "study everything  ok  4 experiments, 3 points, 5 scores, "
        "3 published results, 6 claims"
    )
    found = json.loads(codemix("validate", path, "--json").stdout)
    assert len(found["experiments"]) == 4
    assert found["studies"][0]["claims"] == 6


def test_validate_tells_what_is_wrong_in_studies_and_specs_at_once(study: Path) -> None:
    study.write_text(study.read_text().replace("baseline: text", "baseline: tetx"))
    Path("spec.yaml").write_text("codemix: 1\n")
    shown = codemix("validate", "s", "spec.yaml")
    assert shown.exit_code == 3
    assert "s/study.yaml:5: baseline: unknown point 'tetx'" in shown.stderr
    assert "did you mean 'text'?" in shown.stderr
    assert "spec.yaml" in shown.stderr


def test_validate_knows_the_suites_that_scores_are_of(study: Path) -> None:
    study.write_text(study.read_text().replace("suite: nl-reasoning", "suite: nl-resn"))
    shown = codemix("validate", "s")
    assert shown.exit_code == 3
    assert "scores.reasoning.suite: unknown suite or task 'nl-resn'" in shown.stderr
    assert "did you mean 'nl-reasoning'?" in shown.stderr


def test_scores_of_task_files_are_not_looked_up(study: Path) -> None:
    study.write_text(study.read_text().replace("suite: nl-reasoning", "suite: mine"))
    assert len(check_score_names(load_study(Path("s")))) == 1
    spec = study.parent / "specs" / "two-stages.yaml"
    before = spec.read_text().partition("evals:")[0]
    spec.write_text(f"{before}evals: [{{tasks: [tasks/mine.yaml]}}]\n")
    assert not check_score_names(load_study(Path("s")))


def test_the_schema_of_studies_is_the_frozen_file_to_the_byte() -> None:
    assert codemix("schema", "study").stdout == study_schema_path().read_text("utf-8")
    assert codemix("schema", "stud").exit_code == 2
