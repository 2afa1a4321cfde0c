"""From the names in a spec's evals to pinned tasks in its lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from evals.catalogue import check_files, declared_benchmarks
from ledger.wanted import wanted_by
from runtime.benchmarks import check_declared
from runtime.pin import pin
from runtime.pinned import check_pinned
from runtime.question_rows import rows_digest
from specs.benchmarks import Benchmarks
from specs.errors import InputError, SpecError
from specs.evaluation import asked_items
from specs.identity import run_identity
from specs.lock import Lock
from specs.task import task_digest
from specs.task_files import load_task

TASK = """\
codemix_task: 1
name: sky
version: 1
data:
  file: benchmarks/sky.jsonl
  split: test
  licence: CC0-1.0
  fields: [question, right]
prompt: "{{ question }}"
choices:
  texts: ["blue", "green"]
  right: "{{ right }}"
chance: 0.5
"""
ROWS = [{"question": f"Which colour has sky {n}?", "right": n % 2} for n in range(9)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = make_workspace(tmp_path / "study")
    write_lines(folder / "data" / "one.jsonl", sentences(5))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "sky.yaml").write_text(TASK)
    write_questions(folder, ROWS)
    return folder


def write_questions(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "benchmarks" / "sky.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def spec_with(workspace: Path, *evals: dict[str, Any]) -> Path:
    sources = {"one": {"uri": "data/one.jsonl"}}
    return write_spec(workspace, sources, evals=list(evals))


def declared(workspace: Path, spec: Path) -> Benchmarks:
    return declared_benchmarks(experiment_of(spec), workspace)


def pinned(workspace: Path, spec: Path) -> Lock:
    experiment = experiment_of(spec)
    benchmarks = declared_benchmarks(experiment, workspace)
    return pin(spec, experiment, workspace, benchmarks=benchmarks)


SKY = {"tasks": ["tasks/sky.yaml"]}


def test_a_task_file_is_pinned_with_the_digest_of_its_rows(workspace: Path):
    spec = spec_with(workspace, SKY)
    lock = pinned(workspace, spec)
    task = lock.benchmarks.tasks["sky"]
    assert (task.data.sha256, task.data.rows) == (rows_digest(ROWS), 9)
    assert lock.inputs["tasks.sky"].files[0].path == "benchmarks/sky.jsonl"
    assert check_pinned(experiment_of(spec), lock, workspace) == ()
    check_declared(declared(workspace, spec), lock.benchmarks, "small.yaml")


def test_a_lock_without_benchmarks_says_nothing_of_them(workspace: Path):
    lock = pinned(workspace, spec_with(workspace))
    assert "benchmarks" not in lock.to_json()


def test_the_same_rows_in_another_format_do_as_well(workspace: Path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    spec = spec_with(workspace, SKY)
    before = pinned(workspace, spec).benchmarks
    (workspace / "benchmarks" / "sky.jsonl").unlink()
    (workspace / "benchmarks" / "sky.jsonl.dvc").unlink()
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, workspace / "benchmarks" / "sky.parquet")
    lock = pinned(workspace, spec)
    assert lock.benchmarks == before
    assert lock.inputs["tasks.sky"].files[0].path == "benchmarks/sky.parquet"


def test_rows_that_are_not_the_declared_ones_are_not_pinned(workspace: Path):
    text = TASK.replace("  split", f"  sha256: {rows_digest(ROWS[:-1])}\n  split")
    (workspace / "tasks" / "sky.yaml").write_text(text)
    spec = spec_with(workspace, SKY)
    with pytest.raises(InputError, match="the digest of its rows is"):
        pinned(workspace, spec)
    assert not spec.with_suffix(".lock").exists()
    assert not (workspace / "benchmarks" / "sky.jsonl.dvc").exists()


def test_missing_questions_are_told_with_where_they_are_published(workspace: Path):
    text = TASK.replace("  split", "  published: example/sky at 12ab\n  split")
    (workspace / "tasks" / "sky.yaml").write_text(text)
    (workspace / "benchmarks" / "sky.jsonl").unlink()
    with pytest.raises(InputError, match="no such file") as caught:
        pinned(workspace, spec_with(workspace, SKY))
    assert caught.value.problems[0].fix == "get it from example/sky at 12ab"


def test_a_task_that_changed_since_the_lock_is_refused(workspace: Path):
    spec = spec_with(workspace, SKY)
    lock = pinned(workspace, spec)
    (workspace / "tasks" / "sky.yaml").write_text(TASK.replace("blue", "azure"))
    with pytest.raises(InputError, match="declared otherwise than when") as caught:
        check_declared(declared(workspace, spec), lock.benchmarks, "small.yaml")
    assert caught.value.problems[0].path == "tasks.sky"
    assert caught.value.problems[0].fix == "codemix pin small.yaml"


def test_a_limit_makes_another_task(workspace: Path):
    spec = spec_with(workspace, SKY, {**SKY, "limit": 4}, {**SKY, "limit": 4000})
    found = declared(workspace, spec)
    assert sorted(found.tasks) == ["sky", "sky-4", "sky-4000"]
    assert [asked.tasks for asked in found.asked] == [
        ("sky",),
        ("sky-4",),
        ("sky-4000",),
    ]


def test_two_tasks_of_one_name_are_refused(workspace: Path):
    (workspace / "tasks" / "b.yaml").write_text(TASK.replace("blue", "azure"))
    spec = spec_with(workspace, {"tasks": ["tasks/sky.yaml", "tasks/b.yaml"]})
    with pytest.raises(SpecError, match="two different tasks are called 'sky'"):
        declared(workspace, spec)
    (problem,) = check_files(experiment_of(spec), workspace)
    assert "two different tasks are called 'sky'" in problem.what


def test_every_problem_of_every_task_file_is_told_with_its_line(workspace: Path):
    wrong = TASK.replace("chance: 0.5", "chnace: 0.5").replace("version: 1", "")
    (workspace / "tasks" / "wrong.yaml").write_text(wrong)
    (workspace / "tasks" / "two.yaml").write_text(TASK + "reply: {}\n")
    names = ["tasks/wrong.yaml", "tasks/two.yaml", "tasks/none.yaml", "/abs.yaml"]
    with pytest.raises(SpecError) as caught:
        declared(workspace, spec_with(workspace, {"tasks": names}))
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 5
    assert "tasks/wrong.yaml:13: chnace: unknown key" in "\n".join(told)
    assert "did you mean 'chance'" in "\n".join(told)
    assert "must ask in one way, got choices and reply" in "\n".join(told)


def test_templates_that_name_no_field_are_told_before_any_row_is_read(workspace: Path):
    text = TASK.replace("{{ question }}", "{{ query }}").replace("{{ right", "{% right")
    (workspace / "tasks" / "sky.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"'query' is no field of the data") as caught:
        declared(workspace, spec_with(workspace, {"tasks": ["tasks/sky.yaml"]}))
    places = [(one.file, one.path) for one in caught.value.problems]
    assert places == [
        ("tasks/sky.yaml", "prompt"),
        ("tasks/sky.yaml", "choices.right"),
    ]


def test_words_for_people_change_no_digest_of_a_task(workspace: Path):
    path = workspace / "tasks" / "sky.yaml"
    task = load_task(path)
    same = [
        "licence: CC0-1.0 -> licence: MIT",
        "version: 1 -> version: 1\nassumed: [x]",
    ]
    other = [
        "blue -> azure",
        "version: 1 -> version: 2",
        "chance: 0.5 -> chance: 0.25",
        "chance: 0.5 -> limit: 3",
        "[question, right] -> [right, question]",
    ]
    for change in same + other:
        path.write_text(TASK.replace(*change.split(" -> ")))
        assert (task_digest(load_task(path)) == task_digest(task)) == (change in same)


def test_the_identity_of_a_run_sees_what_its_tasks_ask(workspace: Path):
    spec = spec_with(workspace, SKY)
    lock, experiment = pinned(workspace, spec), experiment_of(spec)
    before = run_identity(experiment, lock, ["stage"])
    (workspace / "tasks" / "sky.yaml").write_text(TASK.replace("blue", "azure"))
    after = pinned(workspace, spec)
    assert run_identity(experiment, after, ["stage"]) != before
    wanted = [wanted_by(experiment, one, {}).suites for one in (lock, after)]
    assert wanted[0].keys() == wanted[1].keys() == {"sky"}
    assert wanted[0] != wanted[1]


def test_scores_within_a_stage_are_taken_over_where_they_are_asked_for(workspace: Path):
    spec = spec_with(workspace, {**SKY, "every": 100})
    wanted = wanted_by(experiment_of(spec), pinned(workspace, spec), {})
    due = [step for step in range(1, 9) if wanted.is_scored_within("sky", step)]
    assert due
    assert not wanted.is_scored_within("heldout", due[0])


STOCK = """\
codemix_task: 1
name: stock_piqa
version: 1
data:
  file: benchmarks/piqa.jsonl
  split: validation
  licence: AFL-3.0
  fields: [goal, sol1, sol2, label]
lm_eval: {task: piqa}
"""


def test_a_definition_of_lm_eval_is_pinned_by_its_files(workspace: Path):
    path = workspace / "tasks" / "stock.yaml"
    path.write_text(STOCK)
    spec = spec_with(workspace, {"tasks": ["tasks/stock.yaml"]})
    task = declared(workspace, spec).tasks["stock_piqa"]
    assert task.lm_eval is not None
    assert task.lm_eval.sha256 is not None
    path.write_text(STOCK.replace("piqa}", f"piqa, sha256: {'a' * 64}}}"))
    with pytest.raises(SpecError, match=task.lm_eval.sha256):
        declared(workspace, spec)
    path.write_text(STOCK.replace("piqa}", "piqqa}"))
    with pytest.raises(SpecError, match="defines no task 'piqqa'"):
        declared(workspace, spec)


def test_a_task_has_its_own_prompt_or_that_of_a_definition(workspace: Path):
    (workspace / "tasks" / "both.yaml").write_text(STOCK + 'prompt: "{{ goal }}"\n')
    (workspace / "tasks" / "none.yaml").write_text(
        "".join(line for line in TASK.splitlines(True) if not line.startswith("prompt"))
    )
    names = ["tasks/both.yaml", "tasks/none.yaml"]
    with pytest.raises(SpecError) as caught:
        declared(workspace, spec_with(workspace, {"tasks": names}))
    assert [one.what for one in caught.value.problems] == [
        "can't be beside lm_eval, whose definition has its own",
        "is required",
    ]


def test_what_a_command_line_asks_for_is_told_like_a_spec():
    items = asked_items(["quick", "quick"], ["copa", "copa"], 5)
    assert [(one.suite, one.tasks, one.limit) for one in items] == [
        ("quick", None, 5),
        (None, ("copa",), 5),
    ]
    with pytest.raises(SpecError) as caught:
        asked_items(["heldout", "choices", "A B"], [], 5)
    assert [(one.path, one.what) for one in caught.value.problems][:3] == [
        ("heldout.limit", "has no use in the suite heldout"),
        ("choices.file", "is required by the suite choices"),
        ("choices.limit", "has no use in the suite choices"),
    ]
    assert caught.value.problems[3].path == "A B"


def test_a_task_of_lm_eval_is_asked_for_by_its_name(workspace: Path):
    found = declared(workspace, spec_with(workspace, {"tasks": ["lm-eval:piqa"]}))
    task = found.tasks["lm_eval_piqa"]
    assert task.lm_eval is not None
    assert (task.lm_eval.task, task.lm_eval.score) == ("piqa", "accuracy")
    assert task.lm_eval.sha256 is not None
    assert task.data.fields == ("goal", "label", "sol1", "sol2")
    assert task.data.file == "benchmarks/lm-eval/piqa.jsonl"


@pytest.mark.parametrize(
    ("name", "what"),
    [("piqqa", "defines no task 'piqqa'"), ("copa", "does not tell which fields")],
)
def test_a_name_of_lm_eval_that_does_not_say_enough_is_refused(
    workspace: Path, name: str, what: str
):
    with pytest.raises(SpecError, match=what):
        declared(workspace, spec_with(workspace, {"tasks": [f"lm-eval:{name}"]}))
