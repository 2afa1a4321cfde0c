"""What a run records of its stages: metrics, and scores with what decides them.

Scores of a stage can be taken over from another run where all that decides them is the
same: the weights, which the stage's identity vouches for, and what is digested here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from specs.benchmarks import Benchmarks
from specs.cadence import items_due
from specs.canonical import digest_of
from specs.evaluation import OWN_SUITES
from specs.experiment import Experiment, Logging
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.task import task_digest


class Wanted(NamedTuple):
    """What a run records of a stage, besides its trace."""

    logging: Logging
    suites: Mapping[str, str]
    """Suite -> digest of all that decides its scores, the weights left out."""
    experiment: Experiment
    plan: Plan
    names: Mapping[int, tuple[str, ...]]
    """Item of the spec's evals -> the suites that its scores are of."""

    def is_scored_within(self, suite: str, step: int) -> bool:
        """Whether a suite is scored after a step that ends no stage."""
        due = items_due(self.experiment, self.plan, step)
        return any(suite in self.names[item] for item in due)


def wanted_by(
    experiment: Experiment, lock: Lock, packages: Mapping[str, str]
) -> Wanted:
    """Return what a run records of its stages.

    Args:
        experiment: Its spec.
        lock: With the token stores of all sources.
        packages: Package of ours -> digest of its files.
    """
    suites: dict[str, list[Any]] = {}
    for index, evaluation in enumerate(experiment.evals):
        if evaluation.suite not in OWN_SUITES:
            continue
        locked = lock.inputs.get(f"evals.{index}")
        files = [file.sha256 for file in locked.files] if locked is not None else []
        # Its place in the list may be part of the name of its scores.
        one = {"index": index, "suite": evaluation.to_json(), "files": files}
        suites.setdefault(evaluation.suite, []).append(one)
    heldout = {
        name: lock.stores[name].manifest_sha256
        for name, source in experiment.sources.items()
        if source.holdout > 0 and name in lock.stores
    }
    return Wanted(
        logging=experiment.logging,
        suites={
            suite: digest_of(
                {
                    "asked": asked,
                    "heldout": heldout if suite == "heldout" else None,
                    "code": packages.get("evals"),
                }
            )
            for suite, asked in suites.items()
        }
        | _benchmarks(lock.benchmarks, packages),
        experiment=experiment,
        plan=plan_experiment(experiment),
        names=_names(experiment, lock.benchmarks),
    )


def _benchmarks(benchmarks: Benchmarks, packages: Mapping[str, str]) -> dict[str, str]:
    """Return task or average -> digest of what decides it."""
    found = {
        name: digest_of({"task": task_digest(task), "code": packages.get("evals")})
        for name, task in benchmarks.tasks.items()
    }
    averages = {
        asked.suite: digest_of({"of": [found[name] for name in asked.tasks]})
        for asked in benchmarks.asked
        if asked.suite is not None
    }
    return found | averages


def _names(
    experiment: Experiment, benchmarks: Benchmarks
) -> dict[int, tuple[str, ...]]:
    """Return item of the spec's evals -> suites, tasks and averages."""
    of_tasks = {
        asked.item: asked.tasks + ((asked.suite,) if asked.suite else ())
        for asked in benchmarks.asked
    }
    return {
        item: of_tasks.get(item, (evaluation.suite,) if evaluation.suite else ())
        for item, evaluation in enumerate(experiment.evals)
    }
