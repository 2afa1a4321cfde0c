"""The identities of an experiment on this machine, once its data is prepared."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from runtime import devices
from runtime.numerics import NUMERICS_VERSION
from runtime.state import Gather
from specs.experiment import Experiment
from specs.identity import run_identity, stage_identities
from specs.lock import Lock
from specs.plan import Plan


class Identities(NamedTuple):
    """What entries are looked up by."""

    stages: list[str]
    """In order."""
    run: str


def identities_here(
    experiment: Experiment, plan: Plan, lock: Lock, mesh: Mesh, gather: Gather
) -> Identities:
    """Return the identities that an experiment has on the devices of this machine.

    Args:
        experiment: The spec.
        plan: Its plan.
        lock: Its lock, with a token store for each source.
        mesh: The devices.
        gather: When they gather weights.
    """
    numerics = {**_numerics(), **_topology(plan, mesh, gather)}
    stages = stage_identities(plan, lock, numerics)
    return Identities(stages, run_identity(experiment, lock, stages))


def _topology(plan: Plan, mesh: Mesh, gather: Gather) -> dict[str, Any]:
    """What decides bits where they are promised on the same devices only."""
    if plan.determinism != "same-topology":
        return {}
    return {
        "mesh": dict(mesh.shape),
        "gather": gather,
        "cores": devices.num_visible_cores(),
    }


def _numerics() -> dict[str, Any]:
    """What of this machine decides bits, as far as it can be named."""
    device = jax.devices()[0]
    return {
        "version": NUMERICS_VERSION,
        "platform": device.platform,
        "kind": device.device_kind,
        "settings": devices.deciding_settings(),
    }
