"""A study as stages of DVC's: what is over is not run, what changed is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from run_workspace import MAIN, codemix, environment
from studies import (
    EXPERIMENTS,
    FIRST,
    SECOND,
    THIRD,
    UNIQUE_STEPS,
    add_experiment,
    make_study,
    trained_steps,
)

from codemix_cli.main import cli
from runtime.study.dvc_stages import stage_names
from specs.study_file import load_study

OWN = ".codemix/studies/study"


def repro(folder: Path) -> list[str]:
    """Run `dvc repro`; return the stages that it ran."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    start = programs / "codemix"
    start.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{MAIN}" "$@"\n')
    start.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "dvc.yaml"],
        cwd=folder,
        env={**environment(), "DVC_NO_ANALYTICS": "1", "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return [one.split("'")[1] for one in lines if one.startswith("Running stage")]


def written(folder: Path) -> dict[str, Any]:
    code, told, stderr = codemix(folder, "study", "study", "--dvc", "dvc.yaml")
    assert code == 0, stderr
    assert isinstance(told["stages"], dict)
    return told["stages"]


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_dvc_runs_what_changed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    make_study(folder)
    stages = written(folder)
    assert set(repro(folder)) == set(stages.values())
    assert trained_steps(folder) == UNIQUE_STEPS
    assert repro(folder) == []

    # Only how alpha ends: where it parts from the others nothing is run again.
    add_experiment(folder, "alpha", stages=[FIRST, SECOND, {**THIRD, "tokens": 512}])
    first = (folder / "dvc.yaml").read_bytes()
    assert written(folder) == stages
    assert (folder / "dvc.yaml").read_bytes() == first
    assert repro(folder) == ["alpha"]
    assert trained_steps(folder) == UNIQUE_STEPS + 2

    # What it was before: DVC restores no word of it, and the ledger has all of it.
    add_experiment(folder, "alpha")
    written(folder)
    assert repro(folder) == ["alpha"]
    assert trained_steps(folder) == UNIQUE_STEPS + 2

    # The first stage of all but delta.
    for name in EXPERIMENTS:
        if name != "delta":
            spec = json.loads((folder / "study" / f"{name}.yaml").read_text())
            spec["stages"][0]["tokens"] = 1024
            (folder / "study" / f"{name}.yaml").write_text(json.dumps(spec))
    stages = written(folder)
    assert set(repro(folder)) == {*stages.values()} - {"delta"}


def test_names_of_stages_are_those_that_dvc_takes() -> None:
    named = stage_names(["a-2.8b/text", "a-2-8b/text", "a-2-8b-text", "b_1"])
    assert list(named.values()) == [
        "a-2-8b-text",
        "a-2-8b-text-2",
        "a-2-8b-text-3",
        "b_1",
    ]


def test_a_file_of_somebody_else_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text("stages: {}\n")
    for name, told in (
        ("dvc.yaml", "holds other stages"),
        ("other.yaml", "DVC reads no file but dvc.yaml"),
    ):
        shown = CliRunner().invoke(cli, ["study", "study", "--dvc", name, "--json"])
        assert shown.exit_code == 4
        assert json.loads(shown.stdout)["problems"][0]["what"] == told
    assert Path("dvc.yaml").read_text() == "stages: {}\n"
    assert not Path(OWN).exists()


def test_stages_of_dvc_beside_specs_are_no_experiment(tmp_path: Path) -> None:
    make_study(tmp_path)
    (tmp_path / "study" / "dvc.yaml").write_text("stages: {}\n")
    names = [one.name for _, one in load_study(tmp_path / "study").experiments]
    assert sorted(names) == sorted(EXPERIMENTS)


@pytest.mark.slow
def test_a_dvc_file_is_the_jobs_of_the_study(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    make_study(folder)
    stages = written(folder)
    file = YAML(typ="safe", pure=True).load(folder / "dvc.yaml")["stages"]
    # JSON sorts its keys; in the file parents come first.
    assert sorted(file) == sorted(stages.values())
    ended = f"{OWN}/dvc/alpha-balanced.txt"
    assert file["gamma"] == {
        "cmd": f"codemix run {OWN}/gamma.yaml > {OWN}/dvc/gamma.txt",
        "deps": [f"{OWN}/gamma.yaml", f"{OWN}/gamma.lock", ended],
        "outs": [{f"{OWN}/dvc/gamma.txt": {"cache": False, "persist": True}}],
    }
    values = json.loads((folder / OWN / "dvc" / "stages.json").read_text())
    assert [len(one) for one in values.values()] == [1, 2]
    assert values["alpha-balanced"][0] == values["alpha-text"][0]
    kept = (folder / OWN / "dvc" / "stages.json").read_bytes()
    written(folder)
    assert (folder / OWN / "dvc" / "stages.json").read_bytes() == kept
