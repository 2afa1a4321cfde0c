"""A run and a spec are looked at for the questions of benchmarks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data_workspace import sentences, write_lines

from codemix_cli.contamination_text import told_contamination
from evals.contamination.of_run import contamination_of
from specs.errors import InputError
from specs.evaluation import Evaluation

PROSE = sentences(120, seed=1)


@pytest.fixture
def workspace(tmp_path: Path, finished_run: tuple[Path, str]) -> Path:
    folder = tmp_path / "workspace"
    shutil.copytree(finished_run[0], folder, symlinks=True)
    write_task(folder)
    return folder


def write_task(folder: Path) -> None:
    """Write a task of a question per document of a source, and two of its own."""
    questions = [*PROSE, "What is not in there at all, nor in any other text?", "Why?"]
    write_lines(folder / "benchmarks" / "mine.jsonl", questions, answer="doc 1")
    task = {
        "codemix_task": 1,
        "name": "mine",
        "version": 1,
        "data": {
            "file": "benchmarks/mine.jsonl",
            "split": "test",
            "licence": "ours",
            "fields": ["text", "answer"],
        },
        "prompt": "{{ text }}",
        "answer": {"accepted": "{{ answer }}", "stop": ["\n"]},
        "contamination": {"fields": ["text"], "ngram": 45},
    }
    path = folder / "tasks" / "mine.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(task))


ITEMS = [Evaluation(tasks=("tasks/mine.yaml",))]


def test_run_is_looked_at_as_it_was_trained(
    workspace: Path, finished_run: tuple[Path, str]
) -> None:
    told, found = contamination_of(finished_run[1], ITEMS, workspace=workspace)
    assert told.entry == finished_run[1]
    (task,) = told.contamination.tasks
    prose = told.contamination.sources["prose"]
    assert prose.read_from == "tokens"
    # Of 122 questions those are found whose documents are neither held out nor beyond
    # what the run read. All 45 words of a document are needed to tell them apart.
    assert 0 < task.together.found <= prose.documents < 120
    assert task.sources["code"].found == 0
    assert task.too_short == ("121",)
    numbers = {one.number for one in found.documents()}
    assert {int(one.question) + 1 for one in task.overlaps if one.is_found} == numbers
    text = told_contamination(told.to_json())
    assert f"mine  all        122  45          1  {task.together.found:>5}" in text


@pytest.mark.slow
def test_spec_without_a_run_is_read_from_its_pinned_files(workspace: Path) -> None:
    spec = workspace / "specs" / "small.yaml"
    shutil.rmtree(workspace / ".codemix" / "stores")
    shutil.rmtree(workspace / ".codemix" / "ledger")
    told, _ = contamination_of(str(spec), ITEMS, workspace=workspace)
    assert told.entry is None
    assert {one.read_from for one in told.contamination.sources.values()} == {"text"}
    assert told.contamination.tasks[0].together.found > 0
    (workspace / "data" / "prose.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"data/prose\.jsonl"):
        contamination_of(str(spec), ITEMS, workspace=workspace)


def test_run_without_benchmarks_says_what_to_name(
    workspace: Path, finished_run: tuple[Path, str]
) -> None:
    with pytest.raises(InputError, match="no benchmark") as caught:
        contamination_of(finished_run[1], workspace=workspace)
    assert "--suite" in str(caught.value)
