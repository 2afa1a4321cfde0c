"""What determines a result: the identities of stages and of runs.

A stage's identity is the digest of everything that decides the weights at its end, and
of nothing else: not its name, not the number of devices, not the stages after it. Two
specs that share a prefix share its identities.
"""

from __future__ import annotations

from typing import Any

from specs.canonical import digest_of
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan, PlannedStage
from specs.task import task_digest

# Fields of a planned stage that change no bit of its result.
_WITHOUT_EFFECT = {"name", "accumulation"}


def stage_identities(plan: Plan, lock: Lock, numerics: dict[str, Any]) -> list[str]:
    """Digest of what determines the result of each stage, in order.

    Args:
        plan: Of the experiment.
        lock: With a token store for each source that a stage draws from.
        numerics: What of the machine and of our arithmetic decides bits: the numerics
            version, the platform, the instruction set.
    """
    state = digest_of(
        {
            "seed": plan.seed,
            "model": plan.model.to_json(),
            "tensor": plan.tensor,
            "numerics": numerics,
            "vocabulary": lock.tokenizer_sha256,
        }
    )
    identities = []
    for stage in plan.stages:
        state = digest_of({"from": state, **_own_part(plan, lock, stage)})
        identities.append(state)
    return identities


def run_identity(experiment: Experiment, lock: Lock, stages: list[str]) -> str:
    """Digest of a run: its last stage, its scores and its cadence.

    Runs of one identity continue each other after a crash and give the same entry.
    """
    return digest_of(
        {
            "stages": stages,
            "evals": [suite.to_json() for suite in experiment.evals],
            "benchmarks": {
                name: [file.sha256 for file in locked.files]
                for name, locked in lock.inputs.items()
                if name.startswith("evals.")
            },
            **_asked(lock),
            "name": experiment.name,
            "checkpoints": experiment.checkpoints.to_json(),
            "logging": experiment.logging.to_json(),
            "determinism": experiment.determinism,
        }
    )


def _asked(lock: Lock) -> dict[str, Any]:
    """What is asked of benchmark tasks, where there are any."""
    benchmarks = lock.benchmarks
    if not benchmarks.tasks:
        return {}
    return {
        "tasks": {name: task_digest(one) for name, one in benchmarks.tasks.items()},
        "asked": [asked.to_json() for asked in benchmarks.asked],
    }


def _own_part(plan: Plan, lock: Lock, stage: PlannedStage) -> dict[str, Any]:
    # Plain sums depend on how many lanes a device works through, in this stage alone.
    is_plain = plan.determinism == "same-topology"
    return {
        **({"accumulation": stage.accumulation} if is_plain else {}),
        "stage": stage.model_dump(mode="json", exclude=_WITHOUT_EFFECT),
        "optimizer": plan.optimizer.to_json(),
        "shuffle_unit": plan.shuffle_unit,
        "stores": {name: lock.stores[name].manifest_sha256 for name in stage.sequences},
    }
