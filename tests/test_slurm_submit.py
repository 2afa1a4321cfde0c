"""What Slurm is asked for a job; without Slurm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.study.slurm import _Submitter
from specs.errors import InputError

pytest.importorskip("submitit")

START = f"{sys.executable} -P -S -m runtime.study.slurm_start -P -u -m submitit.core"


def submitter(folder: Path, **parameters: str) -> _Submitter:
    study: Any = SimpleNamespace(folder=folder)
    return _Submitter(study, parameters)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that gives its jobs the number 7."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sbatch", "srun"):
        (folder / name).write_text("#!/bin/sh\necho Submitted batch job 7\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return folder


@pytest.mark.usefixtures("programs")
def test_a_job_is_asked_for_with_its_parents_its_digest_and_a_way_back(
    tmp_path: Path,
) -> None:
    queue = submitter(tmp_path, time="30", partition="gpu")
    assert queue.submit("s/a", ["codemix", "run", "a.yaml"], "ab12", ["5", "6"]) == "7"
    (script,) = (tmp_path / "slurm").glob("7_*.sh")
    text = script.read_text()
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines()}
    assert asked >= {
        "--comment=ab12",
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
    assert start.endswith(f" {START}._submit {tmp_path / 'slurm'}")
    assert " --open-mode=append " in start


@pytest.mark.parametrize("minutes", ["", "3", "1:30", "-5"])
def test_a_job_that_would_never_get_further_is_refused(
    tmp_path: Path, minutes: str
) -> None:
    with pytest.raises(InputError, match="a limit in whole minutes, 4 or more, got"):
        submitter(tmp_path, time=minutes)
