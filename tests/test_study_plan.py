"""`codemix plan FOLDER`: each stage counted once, each program compiled once."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codemix_cli.main import cli
from runtime import compile_ahead
from runtime.compiled import CompiledStep, CompileJob
from specs.study import StatedCost
from specs.study_file import load_study
from specs.study_graph import study_graph
from specs.study_stated import stated_costs

GOOD_STUDIES = Path(__file__).parent / "good_studies"
PAPER = Path(__file__).parent.parent / "specs" / "paper"

LONGER = """\
codemix: 1
name: longer
extends: two-stages.yaml
stages:
  - name: start
    tokens: 64K
    mixture: {text: 50, web: 50}
    learning_rate: {schedule: cosine, warmup_steps: 10, peak: 1.0e-3, final: 3.0e-4}
  - name: more
    tokens: 64K
    mixture: {text: 80, web: 20}
    optimizer: keep
    learning_rate: {schedule: linear, peak: previous, final: 1.0e-6}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of two specs that share a stage; its folder is `s`."""
    shutil.copytree(GOOD_STUDIES / "specs", tmp_path / "s")
    (tmp_path / "s" / "seeds.yaml").unlink()
    (tmp_path / "s" / "longer.yaml").write_text(LONGER)
    cost = "{chip: v5e, mfu: {debug: 50%}, stated: [" + ", ".join(
        f"{{model: debug, tokens: {tokens}, chip_hours: {hours}, source: here}}"
        for tokens, hours in (("64K", 0.5), ("32K", 0.375))
    )
    (tmp_path / "s" / "study.yaml").write_text(
        f"study: 1\nname: two\ncost: {cost}]}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s"


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


def planned(*arguments: str) -> dict[str, Any]:
    shown = codemix("plan", *arguments, "--json")
    assert shown.exit_code == 0, shown.output
    told: dict[str, Any] = json.loads(shown.stdout)
    return told


def test_a_study_is_planned_with_each_stage_once(study: Path) -> None:
    told = planned("s")
    assert (told["file"], told["name"]) == ("s", "two")
    # longer comes first by its name; the other one's first stage is its own.
    assert [one["name"] for one in told["stages"]] == [
        "longer/start",
        "longer/more",
        "two-stages/cooldown",
    ]
    sums = told["totals"]
    assert (sums["alone"]["stages"], sums["shared"]["stages"]) == (4, 3)


def test_people_see_a_line_per_experiment_and_what_is_new_of_it(study: Path) -> None:
    lines = codemix("plan", "s").stdout.splitlines()
    assert lines[0] == "study two  2 experiments, 4 stages, 3 of them to train"
    assert lines[3].split()[:6] == ["longer", "37.0K", "2", "2", "250", "128.0K"]
    assert lines[4].split()[:6] == ["two-stages", "37.0K", "2", "1", "187", "95.7K"]
    assert lines[4].split()[6] == "31.7K"
    assert lines[-1] == "next: codemix study s --plan"


def test_stated_costs_count_for_the_stages_nearest_in_length(study: Path) -> None:
    loaded = load_study(study)
    graph = study_graph(loaded.experiments)
    assert loaded.cost is not None
    hours = dict.fromkeys(graph.nodes, 1.0)
    found = stated_costs(loaded.cost.stated, graph, hours)
    assert found is not None
    # Two stages of 64,000 tokens; the third has 62 steps of 512.
    third = 62 * 512
    assert found["total"]["stated"] == pytest.approx(0.5 * 2 + 0.375 * third / 32_000)
    assert found["total"]["here"] == 3
    assert found["rows"][0]["here"] == 1
    assert found["rows"][1]["here"] == 0.5


def test_what_is_stated_of_no_model_of_a_study_has_no_total(study: Path) -> None:
    graph = study_graph(load_study(study).experiments)
    other = StatedCost(model="tiny", tokens=1000, chip_hours=1.0, source="here")
    found = stated_costs([other], graph, dict.fromkeys(graph.nodes, 1.0))
    assert found is not None
    assert found["rows"][0]["here"] is None
    assert found["total"]["stated"] is None
    assert stated_costs([], graph, {}) is None


def test_what_is_not_known_here_stands_open_beside_what_is_stated(study: Path) -> None:
    # `mfu` has `debug` alone, and no `other`.
    shape = "{layers: 1, width: 32, heads: 2, ffn_width: 32}"
    spec = (study / "two-stages.yaml").read_text()
    own = spec.replace("{preset: debug}", shape).replace("two-stages", "own")
    assert own.count(shape) == 1
    (study / "own.yaml").write_text(own)
    stated = planned("s")["stated"]
    assert [one["here"] is None for one in stated["rows"]] == [False, False]
    assert stated["total"] == {"here": None, "stated": None}
    file = study / "study.yaml"
    file.write_text(file.read_text().replace("{debug: 50%}", "{}"))
    assert [one["here"] for one in planned("s")["stated"]["rows"]] == [None, None]
    told = codemix("plan", "s").stdout.splitlines()
    assert told[-3].split() == ["debug", "32.0K", "-", "0", "here"]
    assert told[-2].split() == ["each", "stage", "once", "-", "-"]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[CompileJob]:
    """Put a compiler in place for which everything fits."""
    jobs: list[CompileJob] = []

    def ask(_: Any, job: CompileJob) -> CompiledStep:
        jobs.append(job)
        return CompiledStep(
            argument_bytes=1024**3,
            temporary_bytes=1024**3,
            peak_bytes=2 * 1024**3,
            traffic_bytes=10**9,
            cycles=10**9,
            kernels=0,
            collectives={},
            unknown_loops=0,
            seconds=1.0,
        )

    monkeypatch.setattr(compile_ahead, "_pool", nullcontext)
    monkeypatch.setattr(compile_ahead, "_ask", ask)
    return jobs


def test_on_a_slice_each_program_is_compiled_once(
    study: Path, compiled: list[CompileJob]
) -> None:
    told = planned("s", "--on", "v5e-4", "--price", "2")["on"]
    assert len(compiled) == 1
    assert told["slice"] == "v5e-4"
    assert [one["name"] for one in told["stages"]] == [
        "longer/start",
        "longer/more",
        "two-stages/cooldown",
    ]
    hours = [one["chip_hours"] for one in told["stages"]]
    assert hours[0] == hours[1] > hours[2] > 0
    assert told["chip_hours"] == pytest.approx(sum(hours))
    assert told["cost"] == pytest.approx(2 * sum(hours))


def test_the_paper_is_two_programs(
    compiled: list[CompileJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PAPER.parent.parent)
    shown = codemix("plan", "specs/paper", "--on", "v5e-256")
    assert shown.exit_code == 0, shown.output
    assert {job.plan.model.width for job in compiled} == {1024, 2560}
    assert len(compiled) == 2
    assert "on v5e-256" in shown.stdout
    assert "168,574" in shown.stdout


def test_a_study_can_not_be_saved_as_one_spec(study: Path) -> None:
    assert codemix("plan", "s", "--on", "v5e-4", "--save", "x.yaml").exit_code == 2
