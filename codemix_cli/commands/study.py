"""`codemix study`: many experiments, each shared stage once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result, note
from codemix_cli.reading import check_evals, ledger_option

if TYPE_CHECKING:
    from specs.study_loaded import Study

PROGRAM = (sys.executable, "-P", "-m", "codemix_cli")
"""Starts codemix in a process of its own."""


@click.command(cls=Command, example="codemix study specs/mini --plan")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--plan", is_flag=True, help="Tell what it comes to; run nothing.")
@click.option(
    "--svg",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the graph into a file; with --plan.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Runs at once, each with its share of the devices. "
    "In exact mode it changes no bit.",
)
@click.option(
    "--dvc",
    "dvc_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a dvc.yaml with a stage per job, for dvc repro; run nothing.",
)
@click.option(
    "--search",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run the next N mixtures that the study's search proposes.",
)
@click.option(
    "--on",
    "cluster",
    type=click.Choice(["slurm", "kubernetes"]),
    help="Hand the jobs to a cluster's queue, and tell how they stand.",
)
@click.option(
    "--slurm-option",
    "slurm_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="A long option of sbatch, such as partition=gpu; time in minutes.",
)
@click.option(
    "--kubernetes-option",
    "kubernetes_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the cluster, such as slice=v5e-16; image, queue, workspace-claim.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write the manifests, ask no cluster; with --on kubernetes.",
)
@ledger_option
@click.option(
    "--chip", metavar="NAME", help="For chip-hours, such as v5e; with --plan."
)
@click.option(
    "--mfu",
    type=click.FloatRange(min=0, max=100, min_open=True),
    metavar="PERCENT",
    help="Of the chip's peak that training reaches; with --chip.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="MONEY",
    help="Of a chip-hour; with --chip.",
)
def command(
    path: Path,
    plan: bool,
    svg: Path | None,
    jobs: int,
    dvc_file: Path | None,
    search: int | None,
    cluster: str | None,
    slurm_options: tuple[str, ...],
    kubernetes_options: tuple[str, ...],
    dry_run: bool,
    ledger: str | None,
    chip: str | None,
    mfu: float | None,
    price: float | None,
) -> Result:
    """Run the specs of a folder, each shared stage once.

    PATH is a study: a folder of specs, with a `study.yaml` or without, or one spec with
    a `matrix`. Stages that several experiments have in common are trained once and
    taken over by the others. Whatever ends it, the same command goes on: what is done
    is not trained again, and a run that was killed goes on from its last checkpoint. An
    experiment that fails stops none but those that wait for it. With --plan, the graph
    of stages: whose they are, what the ledger has of them, tokens, steps and costs with
    and without sharing. With --search, mixtures are proposed for the objective of the
    study, by what the ledger has of others, and run one by one.
    """
    from specs.study_file import load_study

    if chip is None and (mfu is not None or price is not None):
        raise click.UsageError("--mfu and --price need --chip")
    if chip is not None and (mfu is None or not plan):
        raise click.UsageError("--chip needs --plan and --mfu: the share of its peak")
    if svg is not None and not plan:
        raise click.UsageError("--svg needs --plan")
    apart = [plan, dvc_file is not None, search is not None, cluster is not None]
    if sum([*apart, jobs > 1]) > 1:
        what = "--plan, --dvc, --search, --on and --jobs exclude each other"
        raise click.UsageError(what)
    if slurm_options and cluster != "slurm":
        raise click.UsageError("--slurm-option needs --on slurm")
    if (kubernetes_options or dry_run) and cluster != "kubernetes":
        what = "--kubernetes-option and --dry-run need --on kubernetes"
        raise click.UsageError(what)
    study = load_study(path)
    if plan:
        return _planned(study, svg, chip, mfu, price)
    check_evals(study.experiments)
    options = [] if ledger is None else ["--ledger", ledger]
    if dvc_file is not None:
        from codemix_cli.study_elsewhere import as_dvc_file

        return as_dvc_file(study, dvc_file, options)
    if search is not None:
        return _search(study, search, options)
    if cluster == "kubernetes":
        from codemix_cli.study_elsewhere import on_kubernetes

        return on_kubernetes(study, kubernetes_options, options, is_dry=dry_run)
    if cluster is not None:
        from codemix_cli.study_elsewhere import on_slurm

        return on_slurm(study, PROGRAM, slurm_options, options)
    return _run(study, jobs, options)


def _planned(
    study: Study,
    svg: Path | None,
    chip: str | None,
    mfu: float | None,
    price: float | None,
) -> Result:
    from codemix_cli.study_text import told_study
    from runtime.study.planning import assumed_of, everywhere, plan_study

    assumed = None
    if chip is not None and mfu is not None:
        assumed = assumed_of(chip, everywhere(mfu), price)
    graph, report = plan_study(study, assumed)
    if svg is not None:
        from runtime.study.drawing import draw_study

        draw_study(graph, study.name, svg)
        note(f"wrote {svg}")
    return Result(
        data=report,
        text=told_study(graph, report),
        next_command=f"codemix study {study.path}",
    )


def _run(study: Study, jobs: int, options: list[str]) -> Result:
    from codemix_cli.study_table import study_listeners, told_ended
    from evals.catalogue import declared_benchmarks
    from runtime.study.running import run_study

    with study_listeners() as listeners:
        ended = run_study(
            study,
            declare=declared_benchmarks,
            program=PROGRAM,
            num_jobs=jobs,
            options=options,
            listeners=listeners,
        )
    return Result(
        data=ended.to_json(),
        text=told_ended(ended),
        next_command=f"codemix report {study.path}" if ended.is_good else None,
        ok=ended.is_good,
    )


def _search(study: Study, num_trials: int, options: list[str]) -> Result:
    from codemix_cli.search_table import listen_to_trial, told_search
    from evals.catalogue import declared_benchmarks
    from evals.search.searching import run_search

    ended = run_search(
        study,
        num_trials,
        declare=declared_benchmarks,
        program=PROGRAM,
        options=options,
        listen=listen_to_trial,
    )
    best = ended.best
    return Result(
        data=ended.to_json(),
        text=told_search(ended),
        next_command=f"codemix ledger show {best.entry[:12]}" if best else None,
        ok=ended.failed is None,
    )
