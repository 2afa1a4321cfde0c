"""The mesh that a plan is trained on: how many devices, and what each axis is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from runtime.numerics import BATCH, SLICE, TENSOR
from runtime.state import Gather
from specs.errors import InputError
from specs.experiment import Parallel
from specs.plan import Plan

WHOLE_SHARE = 0.5
"""Of a device's memory: what whole weights and gradients may take. The rest is for the
state, activations and the compiler's temporaries."""


def most_devices(plan: Plan) -> int:
    """Return the most devices that every stage of a plan can use."""
    lanes = min(stage.num_lanes // stage.accumulation for stage in plan.stages)
    return lanes * plan.tensor


def choose_num_devices(plan: Plan, available: int, wanted: int | None = None) -> int:
    """Return how many devices to train on, a power of two.

    Args:
        plan: Its lanes and its tensor parallelism bound the number.
        available: Devices that jax found.
        wanted: A number that somebody asked for; default: as many as possible.

    Raises:
        InputError: Not a power of two, or more than there are, or more than the batch
            has lanes for, or fewer than share one product.
    """
    most = most_devices(plan)
    if wanted is not None:
        _check_wanted(wanted, available, most)
    found = wanted or 1 << (min(available, most).bit_length() - 1)
    if found < plan.tensor:
        raise InputError(
            f"there are {found} devices, but parallel.tensor has {plan.tensor} share "
            "each product",
            fix=f"use at least {plan.tensor} devices: the degree belongs to the "
            "experiment and changes its numbers",
        )
    return found


def build_mesh(
    plan: Plan, parallel: Parallel | None = None, *, wanted: int | None = None
) -> Mesh:
    """Make the mesh that a plan is trained on, in the order of jax's devices.

    Args:
        plan: What is trained.
        parallel: How many copies of the state there are; default: one.
        wanted: Devices to use; default: as many as possible.

    Raises:
        InputError: See `choose_num_devices`.
    """
    devices = jax.devices()
    num_devices = choose_num_devices(plan, len(devices), wanted)
    if jax.process_count() > 1 and num_devices < len(devices):
        raise InputError(
            f"{jax.process_count()} processes have {len(devices)} devices, but the "
            f"batch has lanes for {num_devices}",
            fix="start fewer processes, or make batch.lane smaller",
        )
    return mesh_of(devices[:num_devices], plan, (parallel or Parallel()).slices)


def mesh_of(devices: Sequence[Any], plan: Plan, num_slices: int = 1) -> Mesh:
    """Arrange devices: slices, then shares of the state, then parts of products.

    Where there are fewer devices than slices, each is a slice: how many copies there
    are changes no number.
    """
    groups = len(devices) // plan.tensor
    num_slices = min(num_slices, groups)
    # What is on one slice has fast links, and belongs together.
    ordered = sorted(devices, key=lambda device: getattr(device, "slice_index", 0) or 0)
    shape = (num_slices, groups // num_slices, plan.tensor)
    return Mesh(np.array(ordered).reshape(shape), (SLICE, BATCH, TENSOR))


def choose_gather(plan: Plan, parallel: Parallel, mesh: Mesh) -> Gather:
    """Return when weights are gathered: what the spec says, or once if they fit.

    On CPU they are gathered once: memory is plenty, and gathering is what costs.
    """
    if parallel.gather != "auto":
        return parallel.gather
    device = mesh.local_devices[0]
    if device.platform == "cpu":
        return "step"
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    return "step" if whole_bytes(plan, mesh) <= WHOLE_SHARE * limit else "layer"


def whole_bytes(plan: Plan, mesh: Mesh) -> int:
    """Return what a device holds of the whole model where it is gathered at once.

    Float32 weights, gradients being made, and the sums of the fixed tree: one for each
    of its levels on a device, and one more.
    """
    num_groups = mesh.shape[SLICE] * mesh.shape[BATCH]
    lanes_here = max(stage.num_lanes for stage in plan.stages) // num_groups
    copies = 2 + lanes_here.bit_length()
    return plan.num_parameters // plan.tensor * 4 * int(copies)


def _check_wanted(wanted: int, available: int, most: int) -> None:
    if wanted < 1 or wanted & (wanted - 1):
        raise InputError(
            f"the number of devices must be a power of two, got {wanted}",
            fix="ask for 1, 2, 4, 8, ... devices",
        )
    if wanted > available:
        raise InputError(
            f"{wanted} devices are wanted, but there are {available}",
            fix=f"ask for at most {available}",
        )
    if wanted > most:
        raise InputError(
            f"{wanted} devices are wanted, but the batch has lanes for {most}: the "
            "fewest lanes per step of any stage, divided by its accumulation, times "
            "parallel.tensor",
            fix=f"ask for at most {most}, or make batch.lane smaller",
        )
