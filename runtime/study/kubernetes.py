"""The jobs of a study on a Kubernetes cluster, where Kueue decides when each runs.

    .codemix/studies/NAME/kubernetes/   manifests, as `--dry-run` writes them

JobSets don't wait for each other, and nothing of ours stays behind: each call creates
those whose parents are done, and tells how all stand. What there is and how it has
ended is asked of the cluster, where each JobSet carries a digest of what is asked, and
one of the options, as what waits with others is created anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from runtime.study.jobset import (
    STUDY_LABEL,
    asked_label,
    jobset,
    jobset_name,
    options_note,
    study_label,
)
from runtime.study.kubectl import Cluster, Found
from runtime.study.kubernetes_options import OPTION, ClusterOptions
from runtime.study.ready import ReadyStudy
from runtime.study.schedule import Schedule
from specs.atomic import write_atomically
from specs.errors import InputError, Problem
from specs.study_graph import StudyGraph
from specs.study_jobs import Job, jobs_of
from specs.yaml_writer import yaml_text

_FIRST_LINE = "# Written by `codemix study --on kubernetes --dry-run`.\n"


class Row(NamedTuple):
    """How a job stands."""

    job: str
    state: str
    """`done`, `running`, `queued`, `waiting` for a parent; `submitted` by this call."""
    jobset: str | None
    """Its name; None: it has none yet."""
    after: tuple[str, ...]
    """Jobs that it is still waiting for."""
    before: str | None
    """How it failed the last time, in the cluster's words."""


class Written(NamedTuple):
    """A manifest that was written."""

    job: str
    after: tuple[str, ...]
    """Jobs that must have completed before it is created."""
    jobset: str
    file: Path
    spec: Path
    """What it runs."""


def write_manifests(
    study: ReadyStudy, options: ClusterOptions, extra: Sequence[str] = ()
) -> list[Written]:
    """Write what `submit_study` would create; no cluster is asked.

    Args:
        study: What would be run; nobody else is at work on it.
        options: Of the cluster.
        extra: Added to every `codemix run`.
    """
    jobs = stage_jobs(study.graph)
    folder = study.folder / "kubernetes"
    width = len(str(len(jobs)))
    found = []
    for number, job in enumerate(jobs.values(), 1):
        manifest = jobset(study, job, options, extra)
        name = manifest["metadata"]["name"]
        file = folder / f"{number:0{width}}-{name}.yaml"
        write_atomically(file, f"{_FIRST_LINE}{yaml_text(manifest)}".encode())
        found.append(Written(job.name, job.parents, name, file, study.spec(job)))
    # Whoever creates all of the folder shall not create what was asked before.
    for old in set(folder.glob("*.yaml")) - {one.file for one in found}:
        if old.read_text("utf-8").startswith(_FIRST_LINE):
            old.unlink()
    return found


def submit_study(
    study: ReadyStudy,
    options: ClusterOptions,
    cluster: Cluster,
    extra: Sequence[str] = (),
) -> tuple[list[Row], dict[str, str]]:
    """Create the JobSets whose parents are done, and tell how all jobs stand.

    Args:
        study: What is run; nobody else is at work on it.
        options: Of the cluster.
        cluster: Where JobSets are.
        extra: Added to every `codemix run`.

    Returns:
        A row per job; and name -> entry, of the experiments that are completed.

    Raises:
        InputError: The cluster does not answer, or refuses.
    """
    jobs = stage_jobs(study.graph)
    there = cluster.jobsets(STUDY_LABEL, study_label(study, options))
    stages, entries = _in_ledger(study, options)
    schedule = Schedule(jobs)
    schedule.keep(stages, entries)
    asked = {name: asked_label(study, job, options) for name, job in jobs.items()}
    said = options_note(options, extra)
    gone: set[str] = set()
    for one in there:
        is_asked = one.asked in asked.values() and one.options == said
        if one.state == "queued" and not is_asked:
            # The study was changed since, or the options.
            cluster.delete(one.name)
            gone.add(one.name)
    rows: dict[str, Row] = {}
    for name, job in jobs.items():
        mine = [one for one in there if one.asked == asked[name]]
        after = tuple(one for one in job.parents if rows[one].state != "done")
        is_kept = schedule.standings[name].is_kept
        left = [one for one in mine if one.name not in gone]
        row = _look_at(name, left, after, is_kept=is_kept)
        if row.state == "submitted":
            manifest = jobset(
                study, job, options, extra, _attempt(asked[name], name, mine)
            )
            cluster.create(manifest)
            row = row._replace(jobset=manifest["metadata"]["name"])
        rows[name] = row
    return list(rows.values()), entries


def check_accelerator(graph: StudyGraph, options: ClusterOptions) -> None:
    """Check that every experiment of a study can use all chips that a job will get.

    Raises:
        InputError: With every one that can't.
    """
    chips = options.hosts.chips
    problems = []
    for job in stage_jobs(graph).values():
        tensor = graph.members[job.experiment].plan.tensor
        if not chips or not job.is_whole:
            continue
        if chips > job.most_devices:
            what = f"{job.experiment} has lanes for {job.most_devices} chips, not for"
            fix = f"take at most {job.most_devices} chips, or make batch.lane smaller"
        elif chips < tensor:
            what = f"{job.experiment} has {tensor} chips share each product, not"
            fix = f"take at least {tensor} chips"
        else:
            continue
        problems.append(
            Problem(what=f"{what} {chips}", fix=fix, path=f"{OPTION} slice")
        )
    if problems:
        raise InputError(problems)


def stage_jobs(graph: StudyGraph) -> dict[str, Job]:
    """Return the jobs of a study by name: one for each stage that is trained.

    An experiment whose stages are all trained by others has one more, which scores it.
    """
    return jobs_of(graph, per_stage=True)


def _in_ledger(
    study: ReadyStudy, options: ClusterOptions
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the entries of stages and of experiments that need not be run.

    What a stage is called in the ledger depends on the kind of device, and only pods
    with an accelerator know theirs.
    """
    if options.hosts.chips:
        return {}, {}
    # Manifests are written without what this takes.
    from runtime.study.standing import identify_here, standing

    known = identify_here(list(study.graph.members.values()), study.locks)
    found = standing(study.graph, known, study.workspace)
    return found.stages, found.runs


def _look_at(
    job: str, mine: Sequence[Found], after: tuple[str, ...], *, is_kept: bool
) -> Row:
    """Tell how a job stands; `submitted` if it has to be."""
    states = {one.state: one for one in mine}
    for state in ("done", "running", "queued"):
        if state in states:
            return Row(job, state, states[state].name, (), None)
    if is_kept:
        return Row(job, "done", None, (), None)
    before = mine[-1].reason if mine else None
    return Row(job, "waiting" if after else "submitted", None, after, before)


def _attempt(asked: str, job: str, mine: Sequence[Found]) -> int:
    """Return the first number whose name is free.

    Failed ones stay, with their logs; what was taken away may still be going.
    """
    taken = {one.name for one in mine}
    names = ((number, jobset_name(job, asked, number)) for number in count(1))
    return next(number for number, name in names if name not in taken)
