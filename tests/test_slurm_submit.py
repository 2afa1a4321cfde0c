"""What Slurm is asked for a study's jobs, again and again; without Slurm."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from slurm_programs import Queue, install
from spec_examples import document
from test_study_schedule import GRAPH

from codemix_cli.main import cli
from runtime.study import slurm
from runtime.study.ready import ReadyStudy, planned_alone
from runtime.study.slurm import Row, submit_study
from runtime.study.slurm_options import read_options
from runtime.study.slurm_submit import Submitter
from specs.errors import InputError

pytest.importorskip("submitit")

START = f"{sys.executable} -P -S -m runtime.study.slurm_start -P -u -m submitit.core"


def submitter(**parameters: str) -> Submitter:
    return Submitter(read_options([("time", "30"), *parameters.items()]))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    # Nothing has been trained, and to say so jax need not start.
    monkeypatch.setattr(slurm, "identify_here", lambda *_: {})
    return install(tmp_path, monkeypatch)


@pytest.mark.usefixtures("queue")
def test_a_job_is_asked_for_with_its_parents_its_digest_and_a_way_back(
    tmp_path: Path,
) -> None:
    folder, command = tmp_path / "slurm", ["codemix", "run", "a.yaml"]
    made = submitter(partition="gpu")
    assert made.submit("s/a", command, "ab12.cd34", ["5", "6"], folder) == "7"
    (script,) = folder.glob("7_*.sh")
    text = script.read_text()
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines()}
    assert asked >= {
        "--comment=ab12.cd34",
        "--dependency=afterok:5:6",
        "--job-name=s/a",
        "--kill-on-invalid-dep=yes",
        "--open-mode=append",
        "--partition=gpu",
        "--requeue",
        "--signal=USR2@90",
        "--time=30",
    }
    (start,) = [line for line in asked if line.startswith("srun ")]
    assert start.endswith(f" {START}._submit {folder}")
    assert " --open-mode=append " in start


def test_what_is_not_installed_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match="submitit is not installed") as caught:
        submitter()
    assert [one.what for one in caught.value.problems] == [
        "submitit is not installed",
        "Slurm is not installed here: no sbatch, scancel, squeue, srun",
    ]


def study(folder: Path) -> ReadyStudy:
    own = folder / ".codemix/studies/s"
    return ReadyStudy(name="s", folder=own, workspace=folder, graph=GRAPH, locks={})


def call(folder: Path, *extra: str, **parameters: str) -> dict[str, Row]:
    made = submitter(**parameters)
    rows, entries = submit_study(study(folder), made, ["codemix"], extra)
    assert entries == {}
    return {row.job: row for row in rows}


def states(rows: dict[str, Row]) -> dict[str, str]:
    return {name: row.state for name, row in rows.items()}


def number(row: Row) -> str:
    assert row.slurm_id is not None
    return row.slurm_id


def test_what_waits_with_other_options_is_submitted_anew_and_nothing_else(
    queue: Queue, tmp_path: Path
) -> None:
    first = call(tmp_path, partition="gpus", qos="low")
    assert set(states(first).values()) == {"submitted"}
    # Whatever the order in which they are said.
    assert set(states(call(tmp_path, qos="low", partition="gpus")).values()) == {
        "queued"
    }
    one = number(first["a/one"])
    queue.set_state(one, "RUNNING")
    queue.set_state(number(first["d"]), "COMPLETED")

    second = call(tmp_path, partition="gpu", qos="low")
    assert states(second) == {
        "a/one": "running", "a/two": "submitted", "a": "submitted", "b": "submitted",
        "c": "submitted", "d": "done",
    }  # fmt: skip
    assert second["a/one"].slurm_id == one
    now = queue.states()
    anew = set(first) - {"a/one", "d"}
    assert {now[number(first[name])] for name in anew} == {"CANCELLED"}
    assert {now[number(second[name])] for name in anew} == {"PENDING"}
    # After the one that runs as it was asked for before.
    own = tmp_path / ".codemix/studies/s/slurm"
    (script,) = own.glob(f"{second['c'].slurm_id}_*.sh")
    assert f"#SBATCH --dependency=afterok:{one}\n" in script.read_text()

    third = call(tmp_path, partition="gpu", qos="low")
    assert states(third) == {**dict.fromkeys(anew, "queued"), "a/one": "running",
                             "d": "done"}  # fmt: skip
    fourth = call(tmp_path, "--ledger", "there", partition="gpu", qos="low")
    assert states(fourth) == states(second)
    for name in queue.states():
        queue.set_state(name, "COMPLETED")
    assert set(states(call(tmp_path, partition="cpu")).values()) == {"done"}


def test_what_waits_since_before_options_were_noted_is_submitted_anew(
    queue: Queue, tmp_path: Path
) -> None:
    first = call(tmp_path)
    queue.forget_options()
    queue.set_state(number(first["a/one"]), "RUNNING")
    queue.set_state(number(first["d"]), "COMPLETED")
    second = states(call(tmp_path))
    assert second == {
        "a/one": "running", "a/two": "submitted", "a": "submitted", "b": "submitted",
        "c": "submitted", "d": "done",
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without the data that the study in `my study` needs."""
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    Path("my study").mkdir()
    Path("my study/a.yaml").write_text(json.dumps(document(name="a")))
    return tmp_path


def codemix(*arguments: str, code: int = 0) -> dict[str, Any]:
    words = [*arguments, "--json"]
    shown = CliRunner().invoke(cli, words, prog_name="codemix")
    assert shown.exit_code == code, shown.output
    told: dict[str, Any] = json.loads(shown.stdout)
    return told


@pytest.mark.usefixtures("queue", "folder")
def test_wrong_options_are_told_before_data_is_looked_for() -> None:
    options = ["--slurm-option", "comment=mine", "--slurm-option", "partition=gpu"]
    told = codemix("study", "my study", "--on", "slurm", *options, code=4)
    assert [one["path"] for one in told["problems"]] == [
        "--slurm-option comment",
        "--slurm-option time",
    ]


@pytest.mark.usefixtures("folder")
def test_a_machine_without_slurm_is_told_before_data_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    options = ["--slurm-option", "time=30"]
    told = codemix("study", "my study", "--on", "slurm", *options, code=4)
    (problem,) = told["problems"]
    assert problem["what"].startswith("Slurm is not installed here")


@pytest.mark.usefixtures("queue", "folder")
def test_the_next_command_is_the_same_as_a_shell_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its data is left alone.
    ready = "runtime.study.ready.ready_alone"
    monkeypatch.setattr(ready, lambda study, *_: planned_alone(study))
    words = ["study", "my study", "--on", "slurm", "--slurm-option", "time=30"]
    words += ["--slurm-option", "constraint=a100&nvlink"]
    words += ["--ledger", "sqlite:///my runs.db"]
    assert [one["state"] for one in codemix(*words)["jobs"]] == ["submitted"]
    shown = CliRunner().invoke(cli, words, prog_name="codemix")
    assert shown.exit_code == 0, shown.output
    said = shown.stdout.splitlines()[-1].removeprefix("next: ")
    assert shlex.split(said) == ["codemix", *words]
    again = codemix(*shlex.split(said)[1:])
    assert [one["state"] for one in again["jobs"]] == ["queued"]
