"""`codemix study` where others run its jobs: DVC, or the queue of a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.output import Result, table
from codemix_cli.progress import listener, open_meter
from codemix_cli.wording import counted

if TYPE_CHECKING:
    from runtime.study.kubernetes_options import ClusterOptions
    from runtime.study.ready import ReadyStudy
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
        next_command=shlex.join(["dvc", "repro", str(file)]),
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
    from runtime.study.slurm_options import OPTION, read_options
    from runtime.study.slurm_submit import Submitter

    # Preparing may take hours: what is wrong or missing here is told before.
    submitter = Submitter(read_options(_pairs(OPTION, parameters)))
    with (
        open_meter() as meter,
        ready_alone(study, declared_benchmarks, listener(meter)) as ready,
    ):
        rows, entries = submit_study(ready, submitter, program, options)
    cells = [
        [row.job, row.state, row.slurm_id or "", row.before or "", row.log or ""]
        for row in rows
    ]
    told = table([["job", "state", "slurm", "before", "log"], *cells])
    is_over = all(row.state == "done" for row in rows)
    again = _again(study, "slurm", OPTION, parameters, options)
    return Result(
        data={
            "name": ready.name,
            "jobs": [row._asdict() for row in rows],
            "experiments": _experiments(ready, entries),
        },
        text=told,
        next_command=_report(study) if is_over else again,
    )


def on_kubernetes(
    study: Study,
    cluster: Sequence[str],
    options: Sequence[str],
    *,
    is_dry: bool,
) -> Result:
    """Hand the jobs of a study to Kubernetes, or write their manifests."""
    from runtime.study.kubernetes import check_accelerator
    from runtime.study.kubernetes_options import OPTION, read_options
    from specs.study_graph import study_graph

    asked = read_options(_pairs(OPTION, cluster))
    check_accelerator(study_graph(study.experiments), asked)
    again = _again(study, "kubernetes", OPTION, cluster, options)
    return (_write if is_dry else _submit)(study, asked, options, again)


def _write(
    study: Study, asked: ClusterOptions, options: Sequence[str], again: str
) -> Result:
    from runtime.study.kubernetes import write_manifests
    from runtime.study.ready import planned_alone

    with planned_alone(study) as ready:
        written = write_manifests(ready, asked, options)
    folder = ready.folder / "kubernetes"
    cells = [[one.job, " ".join(one.after), one.file.name] for one in written]
    what = f"{counted(len(written), 'manifest')} in {folder}, no cluster was asked"
    return Result(
        data={
            "name": ready.name,
            "folder": str(folder),
            "jobs": [
                {**one._asdict(), "file": str(one.file), "spec": str(one.spec)}
                for one in written
            ],
        },
        text=f"{table([['job', 'after', 'manifest'], *cells])}\n\nwrote {what}",
        next_command=again,
    )


def _submit(
    study: Study, asked: ClusterOptions, options: Sequence[str], again: str
) -> Result:
    from evals.catalogue import declared_benchmarks
    from runtime.study.kubectl import Cluster
    from runtime.study.kubernetes import submit_study
    from runtime.study.ready import ready_alone

    # Preparing may take hours: what is missing here is told before.
    cluster = Cluster(asked.namespace)
    with (
        open_meter() as meter,
        ready_alone(study, declared_benchmarks, listener(meter)) as ready,
    ):
        rows, entries = submit_study(ready, asked, cluster, options)
    header = ["job", "state", "jobset", "waits for", "failed before"]
    cells = [
        [row.job, row.state, row.jobset or "", " ".join(row.after), row.before or ""]
        for row in rows
    ]
    is_over = all(row.state == "done" for row in rows)
    return Result(
        data={
            "name": ready.name,
            "jobs": [row._asdict() for row in rows],
            "is_over": is_over,
            "experiments": _experiments(ready, entries),
        },
        text=table([header, *cells]),
        next_command=_report(study) if is_over else again,
        # So that whoever calls it again and again stops, and looks.
        ok=all(row.before is None for row in rows),
    )


def _again(
    study: Study, on: str, option: str, said: Sequence[str], options: Sequence[str]
) -> str:
    """Return the command that was called, as a shell takes it."""
    words = ["codemix", "study", str(study.path), "--on", on]
    words += [word for one in said for word in (option, one)]
    return shlex.join([*words, *options])


def _report(study: Study) -> str:
    return shlex.join(["codemix", "report", str(study.path)])


def _pairs(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """Split `NAME=VALUE`."""
    found = []
    for one in given:
        name, is_pair, value = one.partition("=")
        if not is_pair or not name:
            raise click.UsageError(f"{option} {one}: is not NAME=VALUE")
        found.append((name, value))
    return found


def _experiments(ready: ReadyStudy, entries: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "entry": entries.get(name)} for name in ready.graph.members]
