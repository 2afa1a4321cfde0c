"""Which stages of a study are the same, before a byte of its data was read.

A planned identity is a stage's identity (`specs.identity`) with the definitions of its
sources and its tokenizer where the digests of their bytes would be. Equal definitions
give equal bytes, so what is planned to be shared is shared; two definitions of the same
bytes are told apart until the data is prepared.
"""

from __future__ import annotations

from typing import Any

from specs.declared import declared_lock
from specs.experiment import Experiment
from specs.identity import stage_identities
from specs.lock import Lock
from specs.plan import Plan


def planned_identities(
    experiment: Experiment, plan: Plan, lock: Lock | None = None
) -> list[str]:
    """Digest of what is known to determine the result of each stage, in order.

    They are compared with each other within one study: the machine is not in them.

    Args:
        experiment: The spec.
        plan: Its plan.
        lock: With a token store for each source, if there is one; its digests then
            take the place of the definitions.
    """
    promise: dict[str, Any] = {"determinism": plan.determinism}
    if plan.determinism == "same-topology":
        promise["parallel"] = experiment.parallel.to_json()
    if plan.determinism == "fast":
        # Nothing is promised of its bits, so no other experiment takes them over.
        promise["experiment"] = experiment.name
    return stage_identities(plan, lock or declared_lock(experiment, plan), promise)


def is_prepared(plan: Plan, lock: Lock) -> bool:
    """Whether a lock has what decides the bits of every stage of a plan."""
    drawn = {name for stage in plan.stages for name in stage.sequences}
    return lock.tokenizer_sha256 is not None and drawn <= set(lock.stores)
