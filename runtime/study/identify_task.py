"""Tells the identities of experiments on this machine, in a process of its own.

Devices are asked for, and belong to whoever asks until he ends: not to the process that
is about to start others on them.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from runtime.devices import configure
from runtime.worker_process import Handler, Report
from specs.errors import InputError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.resolve import plan_experiment


def load() -> Handler:
    """Return the handler of jobs; all of them make one promise (`determinism`)."""

    def handle(job: Any, _: Report) -> Any:
        return identify(
            Experiment.model_validate(job["experiment"]),
            Lock.model_validate(job["lock"]),
            job["cores"],
        )

    return handle


def identify(
    experiment: Experiment, lock: Lock, cores: list[int] | None
) -> dict[str, Any]:
    """Return the identities of an experiment's stages and of its run.

    Where the devices don't fit the plan, it is `misfit` with what is wrong: whoever
    runs it elsewhere may do without.

    Args:
        experiment: The spec.
        lock: Its lock, with a token store for each source.
        cores: Those that a run will be given; None: all.
    """
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    configure(experiment.determinism)
    from runtime.identities import identities_here
    from runtime.mesh import build_mesh, choose_gather

    plan = plan_experiment(experiment)
    try:
        mesh = build_mesh(plan, experiment.parallel)
    except InputError as error:
        return {"misfit": [asdict(problem) for problem in error.problems]}
    gather = choose_gather(plan, experiment.parallel, mesh)
    return identities_here(experiment, plan, lock, mesh, gather)._asdict()
