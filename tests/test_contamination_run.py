"""A run and a spec are looked at for the questions of benchmarks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import evaluated
import pytest
from data_workspace import sentences, write_lines
from run_workspace import NUM_STEPS

from codemix_cli.contamination_text import told_contamination
from evals.contamination_of import contamination_of
from ledger.store import Ledger
from specs.errors import InputError
from specs.evaluation import Evaluation

pytestmark = pytest.mark.slow
"""Each pins with DVC and scans in a process of its own."""

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
    told = contamination_of(finished_run[1], ITEMS, workspace)
    assert told.subject == finished_run[1]
    (task,) = told.report.tasks
    prose = told.report.sources["prose"]
    assert prose.read_from == "tokens"
    # Of 122 questions those are found whose documents are neither held out nor beyond
    # what the run read. All 45 words of a document are needed to tell them apart.
    assert 0 < task.together.found <= prose.documents < 120
    assert task.sources["code"].found == 0
    assert task.too_short == ("121",)
    # Each question is found in the document that it was made of.
    for one in task.overlaps:
        if one.is_found:
            assert one.evidence.number == int(one.question) + 1
    assert told.scores == ()
    shown = " ".join(told_contamination(told.to_json()).split())
    assert f"mine all 122 45 1 {task.together.found} " in shown


@pytest.mark.parametrize("is_same_rows", [True, False])
def test_scores_of_a_run_are_split_where_they_are_of_the_same_rows(
    workspace: Path, finished_run: tuple[Path, str], is_same_rows: bool
) -> None:
    before = contamination_of(finished_run[1], ITEMS, workspace).report
    rows = before.tasks[0].data if is_same_rows else "0" * 64
    asked = evaluated.task("mine").model_copy(update={"data": rows})
    said: Any = {"text": "said"}
    evaluated.evaluate(
        Ledger.open(workspace),
        finished_run[1],
        name="small",
        step=NUM_STEPS,
        tasks=[asked],
        answers={"mine": [float(number % 2) for number in range(122)]},
        said=said,
    )
    told = contamination_of(finished_run[1], ITEMS, workspace)
    assert told.step == NUM_STEPS
    assert told.report == before
    counts = [
        (one.all.count, one.overlapping and one.overlapping.count)
        for one in told.scores
    ]
    together = before.tasks[0].together
    uncommon = together.found - together.common
    assert counts == ([(122, uncommon)] if is_same_rows else [])


def test_spec_without_a_run_is_read_from_its_pinned_files(workspace: Path) -> None:
    spec = workspace / "specs" / "small.yaml"
    shutil.rmtree(workspace / ".codemix" / "stores")
    shutil.rmtree(workspace / ".codemix" / "ledger")
    told = contamination_of(str(spec), ITEMS, workspace)
    assert told.subject is None
    assert {one.read_from for one in told.report.sources.values()} == {"text"}
    assert told.report.tasks[0].together.found > 0
    (workspace / "data" / "prose.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"data/prose\.jsonl"):
        contamination_of(str(spec), ITEMS, workspace)


def test_run_without_benchmarks_says_what_to_name(
    workspace: Path, finished_run: tuple[Path, str]
) -> None:
    with pytest.raises(InputError, match="no question") as caught:
        contamination_of(finished_run[1], [], workspace)
    assert "--suite" in str(caught.value)
