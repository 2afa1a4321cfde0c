"""Documents that hold questions of pinned benchmarks are kept out of training text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from data_workspace import (
    experiment_of,
    make_workspace,
    write_lines,
    write_spec,
)

from codemix_cli.main import cli
from evals.catalogue import check_files, check_names, declared_benchmarks
from evals.contamination.characters import NORMALISATION
from evals.contamination.overlaps import check_kept_out, find_overlaps
from evals.contamination.scan import SCAN_VERSION
from runtime.deduplication.drops import read_drops
from runtime.deduplication.folders import drops_folder, drops_path, read_report
from runtime.deduplication.report import Deduplicated
from runtime.deduplication.run import deduplicate
from runtime.pin import pin
from runtime.progress import ignore_progress
from runtime.store_identity import QUESTIONS_VERSION, store_identity
from runtime.watched import WatchedFiles
from specs.errors import InputError, SpecError
from specs.lock import Lock
from specs.resolve import plan_experiment

TASK = """\
codemix_task: 1
name: sky
version: 1
data:
  file: benchmarks/sky.jsonl
  split: test
  licence: CC0
  fields: [question, right]
prompt: "{{ question }}"
choices:
  texts: ["blue", "green"]
  right: "{{ right }}"
chance: 0.5
contamination: {fields: [question]}
"""
QUESTION = "Which colour has the sky on day {} of a long and quiet summer in the north?"
ROWS = [{"question": QUESTION.format(n), "right": n % 2} for n in range(40, 49)]
RULE: dict[str, Any] = {
    "sources": ["one"],
    "near": {"threshold": 0.5},
    "benchmarks": {"tasks": ["tasks/sky.yaml"]},
}
CLEAN = " ".join(f"said{word}" for word in range(30))
TEXTS = [
    *(" ".join(f"w{text}x{word}" for word in range(40)) for text in range(20)),
    f"{CLEAN} {QUESTION.format(41)}",
    CLEAN,
    f"{CLEAN} or later",
    QUESTION.format("of"),
]
"""The 21st holds a question; the next two are nearly the same as it."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = make_workspace(tmp_path / "study")
    write_lines(folder / "data" / "one.jsonl", TEXTS)
    (folder / "tasks").mkdir()
    (folder / "tasks" / "sky.yaml").write_text(TASK)
    write_questions(folder, ROWS)
    return folder


def write_questions(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "benchmarks" / "sky.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def spec_with(workspace: Path, rule: dict[str, Any] = RULE, **changes: Any) -> Path:
    sources = {"one": {"uri": "data/one.jsonl", "holdout": 0}}
    return write_spec(workspace, sources, deduplicate=rule, **changes)


def pinned(workspace: Path, spec: Path) -> Lock:
    experiment = experiment_of(spec)
    benchmarks = declared_benchmarks(experiment, workspace)
    return pin(spec, experiment, workspace, benchmarks=benchmarks)


def deduplicated(
    workspace: Path, rule: dict[str, Any] = RULE
) -> tuple[Deduplicated, dict[int, str]]:
    """Return the report, and line -> why it is dropped."""
    spec = spec_with(workspace, rule)
    plan, lock = plan_experiment(experiment_of(spec)), pinned(workspace, spec)
    deduplicate(
        plan,
        lock,
        workspace,
        watched=WatchedFiles(workspace, lock.paths),
        num_workers=1,
        progress=ignore_progress,
        find_overlaps=find_overlaps,
    )
    report = read_report(plan, lock, workspace)
    assert report is not None
    path = drops_path(drops_folder("one", plan, lock, workspace), 0)
    drops = read_drops(path, ["data/one.jsonl"])
    return report, {number: reason for (_, number), reason in drops.items()}


def test_a_document_with_a_question_is_dropped_and_makes_no_duplicate(
    workspace: Path,
) -> None:
    report, dropped = deduplicated(workspace)
    # Line 22 is like line 21, which is gone; line 23 is like line 22.
    assert dropped == {21: "deduplicate.benchmark", 23: "deduplicate.near"}
    assert report.sources[0].removed["deduplicate.benchmark"].documents == 1
    (task,) = report.benchmarks
    assert (task.task, task.documents, task.questions) == ("sky", 1, 1)
    (sample,) = task.samples
    assert (sample.dropped.number, sample.question) == (21, "1")
    assert sample.words == 17
    without = {key: RULE[key] for key in ("sources", "near")}
    assert deduplicated(workspace, without)[1] == {
        22: "deduplicate.near",
        23: "deduplicate.near",
    }


def test_the_rule_may_say_how_many_words_count(workspace: Path) -> None:
    benchmarks = {**RULE["benchmarks"], "ngram": 9}
    _, dropped = deduplicated(workspace, {**RULE, "benchmarks": benchmarks})
    assert dropped[24] == "deduplicate.benchmark"


def test_tasks_are_pinned_without_being_scored(workspace: Path) -> None:
    lock = pinned(workspace, spec_with(workspace))
    assert list(lock.benchmarks.kept_out) == ["sky"]
    assert not lock.benchmarks.tasks
    assert lock.benchmarks.kept_out["sky"].data.rows == len(ROWS)
    assert lock.inputs["kept_out.sky"].files[0].path == "benchmarks/sky.jsonl"
    assert Lock.model_validate(lock.to_json()) == lock


def test_other_questions_are_another_store(workspace: Path) -> None:
    spec = spec_with(workspace)
    plan = plan_experiment(experiment_of(spec))
    before = pinned(workspace, spec)
    again = pinned(workspace, spec)
    write_questions(workspace, ROWS[1:])
    after = pinned(workspace, spec)

    def identity(lock: Lock) -> str:
        return store_identity("one", plan, lock, "t")

    assert identity(before) == identity(again) != identity(after)
    task = before.benchmarks.kept_out["sky"]
    other = task.model_copy(update={"prompt": "{{ question }}?", "version": 2})
    benchmarks = before.benchmarks.model_copy(update={"kept_out": {"sky": other}})
    lock = before.model_copy(update={"benchmarks": benchmarks})
    assert identity(lock) == identity(before), "only what is looked for counts"


def test_another_way_of_looking_is_another_store() -> None:
    # `runtime` may not ask how questions are looked for: it has a version of its own.
    ways = {1: (1, "words 1")}
    now = (SCAN_VERSION, NORMALISATION.partition(",")[0])
    assert ways[QUESTIONS_VERSION] == now, (
        "Questions are looked for in another way. Raise QUESTIONS_VERSION of "
        "runtime/store_identity.py, and add a line to `ways`."
    )
    assert NORMALISATION.endswith(f"Unicode {unicodedata.unidata_version}")


def test_a_lock_with_other_tasks_is_refused(workspace: Path) -> None:
    spec = spec_with(workspace)
    lock = pinned(workspace, spec)
    experiment = experiment_of(spec)
    check_kept_out(experiment, lock, workspace, "small.yaml")
    (workspace / "tasks" / "sky.yaml").write_text(TASK.replace("}\n", ", ngram: 9}\n"))
    with pytest.raises(InputError, match="declared otherwise") as caught:
        check_kept_out(experiment, lock, workspace, "small.yaml")
    assert [one.path for one in caught.value.problems] == ["kept_out.sky"]
    bare = spec_with(workspace, {key: RULE[key] for key in ("sources", "near")})
    with pytest.raises(InputError, match="is in the spec but not in the lock"):
        check_kept_out(experiment, pinned(workspace, bare), workspace, "small.yaml")


def test_a_task_that_can_not_be_looked_for_is_refused(workspace: Path) -> None:
    path = workspace / "tasks" / "sky.yaml"
    path.write_text(TASK[: TASK.index("contamination")])
    experiment = experiment_of(spec_with(workspace))
    (problem,) = check_files(experiment, workspace)
    assert problem.path == "deduplicate.benchmarks"
    assert "does not say how it is looked for" in problem.what
    with pytest.raises(SpecError, match="does not say how"):
        declared_benchmarks(experiment, workspace)


def test_unknown_names_are_told_with_their_places(workspace: Path) -> None:
    rule = {**RULE, "benchmarks": {"suites": ["codes"], "tasks": ["boolk"]}}
    problems = check_names(experiment_of(spec_with(workspace, rule)))
    assert [(one.path, one.fix) for one in problems] == [
        ("deduplicate.benchmarks.suites.0", "did you mean 'code'?"),
        ("deduplicate.benchmarks.tasks.0", "did you mean 'boolq'?"),
    ]


def test_nobody_to_look_for_questions_is_an_error(workspace: Path) -> None:
    spec = spec_with(workspace)
    plan, lock = plan_experiment(experiment_of(spec)), pinned(workspace, spec)
    with pytest.raises(InputError, match="have to be looked for"):
        deduplicate(
            plan,
            lock,
            workspace,
            watched=WatchedFiles(workspace, lock.paths),
            num_workers=1,
            progress=ignore_progress,
        )


def test_one_prepare_does_it_all(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    name = str(spec_with(workspace).relative_to(workspace))
    assert CliRunner().invoke(cli, ["pin", name]).exit_code == 0
    told = CliRunner().invoke(cli, ["prepare", name])
    assert told.exit_code == 0, told.output
    kept_out = told.stdout[told.stdout.index("kept out") :].splitlines()
    assert kept_out[1].split() == ["sky", "1", "1", "data/one.jsonl:21", "17"]
    told = CliRunner().invoke(cli, ["prepare", name, "--json"])
    assert json.loads(told.stdout)["sources"][0]["dropped"] == {
        "deduplicate.benchmark": 1,
        "deduplicate.near": 1,
    }
