"""`codemix study` where others run its jobs: DVC, or the queue of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
