"""Tells the identities of experiments on this machine, in a process of its own.

Devices are asked for, and belong to whoever asks until he ends: not to the process that
is about to start others on them.
"""

from __future__ import annotations

import os
from typing import Any

from runtime.devices import configure
from runtime.worker_process import Handler, Report
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

    Args:
        experiment: The spec.
        lock: Its lock, with a token store for each source.
        cores: Those that a run will be given; None: all.

    Raises:
        InputError: The devices don't fit the plan.
    """
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    configure(experiment.determinism)
    from runtime.identities import identities_here
    from runtime.mesh import build_mesh, choose_gather

    plan = plan_experiment(experiment)
    mesh = build_mesh(plan, experiment.parallel)
    gather = choose_gather(plan, experiment.parallel, mesh)
    return identities_here(experiment, plan, lock, mesh, gather)._asdict()
