"""Scores of one step are told apart by name alone, so no task may be called a suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.catalogue import check_files, declared_benchmarks
from specs.errors import SpecError
from specs.evaluation import Evaluation
from specs.experiment import Experiment

TASK = """\
codemix_task: 1
name: NAME
version: 1
data: {file: sky.jsonl, split: test, licence: CC0-1.0, fields: [question]}
prompt: "{{ question }}"
choices: {texts: ["blue", "green"], right: "0"}
chance: 0.5
"""


def asking_for(folder: Path, name: str) -> Experiment:
    (folder / "mine.yaml").write_text(TASK.replace("NAME", name))
    return Experiment.model_construct(evals=(Evaluation(tasks=("mine.yaml",)),))


@pytest.mark.parametrize("name", ["heldout", "baselines", "choices", "code", "quick-3"])
def test_a_task_that_is_called_like_a_suite_is_refused(tmp_path: Path, name: str):
    experiment = asking_for(tmp_path, name)
    with pytest.raises(SpecError, match=f"{name!r} is the name of other scores") as e:
        declared_benchmarks(experiment, tmp_path)
    assert check_files(experiment, tmp_path) == list(e.value.problems)
    [problem] = e.value.problems
    assert (problem.file, problem.path) == ("mine.yaml", "name")


@pytest.mark.parametrize("name", ["held_out", "codes", "quick-three", "boolq"])
def test_a_task_that_is_not_called_like_a_suite_passes(tmp_path: Path, name: str):
    assert list(declared_benchmarks(asking_for(tmp_path, name), tmp_path).tasks) == [
        name
    ]
