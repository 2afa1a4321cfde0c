"""A study as a `dvc.yaml`: a stage of DVC's per job, for `dvc repro` and `dvc exp run`.

What DVC watches is what determines a job: of one that stops where experiments part, the
identities of the stages up to there (a parameter); of one that goes to the end, its
spec and its lock. What it trains is in the ledger, which is no output: DVC deletes
outputs, and restores them. The output is a file that says that the job has ended. It
is `persist`, which also keeps DVC from restoring it where nothing was trained.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.study.ready import ReadyStudy
from specs.atomic import write_atomically
from specs.errors import InputError
from specs.study_jobs import Job
from specs.yaml_writer import yaml_text

FILE_NAME = "dvc.yaml"
"""DVC reads stages from files of this name alone."""

_FIRST_LINE = "# Written by `codemix study --dvc`; write it again after any change."


def check_dvc_file(file: Path) -> None:
    """Check that a file may be written, before anything is made ready.

    Raises:
        InputError: DVC would not read it, or somebody else has written it.
    """
    if file.name != FILE_NAME:
        fix = f"write it to {file.parent / FILE_NAME}"
        raise InputError(f"DVC reads no file but {FILE_NAME}", path="--dvc", fix=fix)
    if file.exists() and not file.read_text("utf-8").startswith(_FIRST_LINE):
        fix = "name another folder: DVC reads a dvc.yaml in any of them"
        raise InputError("holds other stages", file=str(file), fix=fix)


def write_dvc_file(
    study: ReadyStudy, file: Path, options: Sequence[str] = ()
) -> dict[str, str]:
    """Write the stages of a study.

    Args:
        study: What is run; nobody else is at work on it.
        file: A `dvc.yaml`, see `check_dvc_file`.
        options: Added to every `codemix run`.

    Returns:
        Name of the job -> name of its stage.
    """
    stages = stage_names(study.jobs)
    values = {
        stages[name]: _identities(study, job)
        for name, job in study.jobs.items()
        if not job.is_whole
    }
    text = yaml_text({"stages": dict(_stages(study, file.parent, stages, options))})
    written = json.dumps(values, indent=1, sort_keys=True) + "\n"
    # In the folder of what tells that a job has ended: the shell does not make it.
    write_atomically(_parameters(study), written.encode())
    write_atomically(file, f"{_FIRST_LINE}\n{text}".encode())
    return stages


def stage_names(jobs: Iterable[str]) -> dict[str, str]:
    """Return names that DVC takes, by name of the job: letters, digits, `-` and `_`."""
    found: dict[str, str] = {}
    for job in jobs:
        name = plain = re.sub(r"[^A-Za-z0-9_-]", "-", job)
        number = 1
        while name in found.values():
            number += 1
            name = f"{plain}-{number}"
        found[job] = name
    return found


def _stages(
    study: ReadyStudy, folder: Path, stages: Mapping[str, str], options: Sequence[str]
) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield each stage of the file with its name; paths are seen from its folder."""

    def seen(path: Path) -> str:
        return Path(os.path.relpath(path, folder)).as_posix()

    for name, job in study.jobs.items():
        own, spec = stages[name], study.spec(job)
        ended = seen(_ended(study, own))
        command = shlex.join([*job.command(Path(seen(spec))), *options])
        after = [seen(_ended(study, stages[parent])) for parent in job.parents]
        stage: dict[str, Any] = {"cmd": f"{command} > {shlex.quote(ended)}"}
        if job.is_whole:
            stage["deps"] = [seen(spec), seen(spec.with_suffix(".lock")), *after]
        else:
            if after:
                stage["deps"] = after
            stage["params"] = [{seen(_parameters(study)): [own]}]
        stage["outs"] = [{ended: {"cache": False, "persist": True}}]
        yield own, stage


def _identities(study: ReadyStudy, job: Job) -> list[str]:
    """Return what determines a job that does not go to the end."""
    stages = study.graph.members[job.experiment].stages
    return list(stages[: stages.index(job.stages[-1]) + 1])


def _parameters(study: ReadyStudy) -> Path:
    return study.folder / "dvc" / "stages.json"


def _ended(study: ReadyStudy, stage: str) -> Path:
    return study.folder / "dvc" / f"{stage}.txt"
