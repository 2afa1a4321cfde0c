"""What `codemix plan` says of benchmarks before any compute is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codemix_cli.benchmarks_text import told_benchmarks
from codemix_cli.main import cli
from evals.statistics.expected import expected_scores, expected_task
from specs.benchmarks import Asked, Benchmarks
from specs.task import Task

SPEC = """\
codemix: 1
name: tiny
model: {preset: debug}
tokenizer: {vocab_size: 300, train: {mixture: {text: 1}, sample_bytes: 20K}}
sources:
  text: {uri: "data/*.txt"}
batch: {sequences: 4, length: 32}
stages:
  - name: only
    tokens: 1K
    mixture: {text: 1}
    learning_rate: {schedule: constant, peak: 0.01}
"""

ONE_SEED = """\
evals: [{tasks: [tasks/small.yaml, tasks/large.yaml, tasks/open.yaml]}]
seed: 3
"""


def task_of(name: str, rows: int | None, **fields: Any) -> Task:
    data = {"file": f"{name}.jsonl", "split": "test", "licence": "CC0-1.0"}
    asked = {"choices": {"texts": ["blue", "green"], "right": "{{ right }}"}}
    if "reply" in fields:
        asked = {}
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "prompt": "{{ question }}",
            "data": {**data, "fields": ["question", "right"], "rows": rows},
            **asked,
            **fields,
        }
    )


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "tasks").mkdir()
    tasks = [
        task_of("small", 56, chance=0.25),
        task_of("large", 3270, chance=0.5, cluster="passage"),
        task_of("open", None),
    ]
    for task in tasks:
        path = tmp_path / "tasks" / f"{task.name}.yaml"
        path.write_text(json.dumps(task.to_json()))
    (tmp_path / "tiny.yaml").write_text(SPEC + ONE_SEED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_tells_what_benchmarks_can_show(workspace: Path) -> None:
    told = codemix("plan", "tiny.yaml")
    assert told.exit_code == 0, told.output
    assert (
        "benchmark  questions  chance  error  seen unpaired  paired\n"
        "small             56     25%   6.68          26.47   14.50\n"
        "large          3,270     50%   0.87           3.46    1.90"
        "  more: in clusters by passage\n"
        "open         unknown      0%      -              -       -\n"
    ) in told.output
    assert "one seed: these errors are of questions alone" in told.output


def test_plan_as_json_has_the_same_numbers_unrounded(workspace: Path) -> None:
    (told,) = json.loads(codemix("plan", "tiny.yaml", "--json").output)["experiments"]
    assert told["num_seeds"] == 1
    assert told["benchmarks"]["tasks"]["small"]["standard_error"] == 0.5 / 56**0.5
    assert told["benchmarks"]["tasks"]["open"]["questions"] is None


def test_plan_counts_seeds_of_one_recipe(workspace: Path) -> None:
    text = SPEC + "evals: [{tasks: [tasks/small.yaml]}]\n"
    text += "matrix: {seed: [1, 2, 3], model.preset: [debug, tiny]}\n"
    (workspace / "study.yaml").write_text(text)
    told = json.loads(codemix("plan", "study.yaml", "--json").output)["experiments"]
    assert [one["num_seeds"] for one in told] == [3] * 6
    assert "3 seeds: what they add" in codemix("plan", "study.yaml").output


def test_plan_of_a_spec_without_benchmarks_says_nothing_of_them(
    workspace: Path,
) -> None:
    (workspace / "plain.yaml").write_text(SPEC)
    assert "benchmark" not in codemix("plan", "plain.yaml").output


def test_plan_refuses_a_task_that_is_not_there(workspace: Path) -> None:
    (workspace / "tasks" / "small.yaml").unlink()
    told = codemix("plan", "tiny.yaml")
    assert told.exit_code == 3
    assert "tasks/small.yaml" in told.output


def test_limit_is_how_many_are_asked() -> None:
    assert expected_task(task_of("t", 3270, limit=100), 3270).questions == 100
    assert expected_task(task_of("t", 3270, limit=5000), 3270).questions == 3270


def test_pinned_rows_count_where_none_are_declared() -> None:
    benchmarks = Benchmarks(tasks={"t": task_of("t", None)})
    found = expected_scores(benchmarks, {"t": 400})
    assert found.tasks["t"].standard_error == 0.025
    assert expected_scores(benchmarks, {}).tasks["t"].standard_error is None


def test_average_names_the_tasks_that_carry_its_variance() -> None:
    sizes = {"cb": 56, "copa": 100, "boolq": 3270, "piqa": 1838}
    asked = Asked(item=0, suite="mine", version=1, tasks=tuple(sizes))
    tasks = {name: task_of(name, rows) for name, rows in sizes.items()}
    found = expected_scores(Benchmarks(tasks=tasks, asked=(asked,)), {})
    mine = found.suites["mine"]
    errors = [found.tasks[name].standard_error or 0 for name in sizes]
    assert mine.standard_error == pytest.approx(sum(e**2 for e in errors) ** 0.5 / 4)
    assert mine.variance_shares["cb"] == pytest.approx(
        (1 / 56) / sum(1 / rows for rows in sizes.values())
    )
    # A task of unknown size counts in the average, and what it adds is missing.
    tasks["piqa"] = task_of("piqa", None)
    found = expected_scores(Benchmarks(tasks=tasks, asked=(asked,)), {})
    part = found.suites["mine"]
    errors = [found.tasks[name].standard_error or 0 for name in ("cb", "copa", "boolq")]
    assert part.standard_error == pytest.approx(sum(e**2 for e in errors) ** 0.5 / 4)
    assert part.unknown == ("piqa",)
    assert "more: piqa unknown" in told_benchmarks(found.to_json(), num_seeds=1)


def test_win_rate_is_a_comparison_already() -> None:
    found = expected_task(task_of("dolly", 200, reply={}), 200)
    assert found.standard_error == pytest.approx(0.0354, rel=1e-2)
    assert (found.unpaired, found.paired) == (None, None)


def test_plan_names_few_tasks_for_most_of_the_variance() -> None:
    sizes = {"boolq": 3270, "cb": 56, "copa": 100, "piqa": 1838}
    asked = Asked(item=0, suite="mine", version=1, tasks=tuple(sizes))
    tasks = {name: task_of(name, rows) for name, rows in sizes.items()}
    found = expected_scores(Benchmarks(tasks=tasks, asked=(asked,)), {})
    told = told_benchmarks(found.to_json(), num_seeds=1)
    assert (
        "average  error  seen unpaired  paired  most of its variance\n"
        "mine      2.12           8.39    4.60  cb 62%, copa 35%\n"
    ) in told
