"""`codemix study` where others run its jobs: DVC, or the queue of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Result, table
from codemix_cli.progress import listener, open_meter

if TYPE_CHECKING:
    from specs.study_loaded import Study


def as_dvc_file(study: Study, file: Path, options: Sequence[str]) -> Result:
    """Write a study as a `dvc.yaml`."""
    from evals.catalogue import declared_benchmarks
    from runtime.study.dvc_stages import check_dvc_file, write_dvc_file
    from runtime.study.ready import ready_alone

    check_dvc_file(file)
    with (
        open_meter() as meter,
        ready_alone(study, declared_benchmarks, listener(meter)) as ready,
    ):
        stages = write_dvc_file(ready, file, options)
    rows = [["job", "stage"], *([job, stage] for job, stage in stages.items())]
    return Result(
        data={"file": str(file), "stages": stages},
        text=f"{table(rows)}\n\nwrote {file}",
        next_command=f"dvc repro {file}",
    )


def on_slurm(
    study: Study,
    program: Sequence[str],
    parameters: Sequence[str],
    options: Sequence[str],
) -> Result:
    """Hand the jobs of a study to Slurm, or tell how they stand."""
    from evals.catalogue import declared_benchmarks
    from runtime.study.ready import ready_alone
    from runtime.study.slurm import submit_study

    asked: dict[str, str] = {}
    for one in parameters:
        name, is_pair, value = one.partition("=")
        if not is_pair or not name:
            raise click.UsageError(f"--slurm-option {one}: is not NAME=VALUE")
        asked[name] = value
    with (
        open_meter() as meter,
        ready_alone(study, declared_benchmarks, listener(meter)) as ready,
    ):
        rows, entries = submit_study(ready, program, asked, options)
    cells = [
        [row.job, row.state, row.slurm_id or "", row.before or "", row.log or ""]
        for row in rows
    ]
    told = table([["job", "state", "slurm", "before", "log"], *cells])
    is_over = all(row.state == "done" for row in rows)
    again = " ".join(f"--slurm-option {one}" for one in parameters)
    return Result(
        data={
            "name": ready.name,
            "jobs": [row._asdict() for row in rows],
            "experiments": [
                {"name": name, "entry": entries.get(name)}
                for name in ready.graph.members
            ],
        },
        text=told,
        next_command=f"codemix report {study.path}"
        if is_over
        else f"codemix study {study.path} --on slurm {again}",
    )
