"""Who started this process, and as which of how many.

jax knows Open MPI, Slurm, Cloud TPU and Kubernetes; what it finds is asked for here, so
that a single process is never joined to anything. Where there is none of them, three
variables say it: JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.aborts import Tell, catch_aborts
from runtime.devices import GOOGLE, default_devices, has_chips
from specs.errors import InputError
from specs.plan import Plan

ADDRESS = "JAX_COORDINATOR_ADDRESS"
COUNT, INDEX = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"

_COUNTERS = (
    (COUNT, INDEX),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
)
"""Variables that count processes without saying where the first one is."""

_KNOWN_TO_JAX = (
    "OMPI_MCA_orte_hnp_uri",
    "SLURM_STEP_NODELIST",
    "TPU_WORKER_HOSTNAMES",
    "MEGASCALE_COORDINATOR_ADDRESS",
    "JOB_COMPLETION_INDEX",
)
"""Variables without which, and without a TPU, jax need not be asked."""

SECONDS_TO_JOIN = 300
"""That the first process waits for the last one."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One of several processes that were started together."""

    address: str
    """Host and port where process 0 coordinates."""
    index: int
    count: int
    local_devices: tuple[int, ...] | None = None
    """GPUs of this process; None: all that it sees."""


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Find out from the environment whether this is one of several processes.

    Returns:
        None where there is one process only.

    Raises:
        InputError: There are several, and where the first one is cannot be known.
    """
    detected = _detected(environment)
    address, count, index, devices = detected
    counted = _counted(environment)
    if counted is not None and (count is None or COUNT in environment):
        count, index = counted
    address = environment.get(ADDRESS) or address
    if count == 1 or (count is None and address is None):
        return None
    if count is None or index is None or address is None:
        raise InputError(
            "this is one of several processes, but it is not known which of how many, "
            "or where the first one is",
            fix=f"set {ADDRESS} to host:port of process 0, {COUNT}, and for each "
            f"process its {INDEX}, from 0 on",
        )
    if not 0 <= index < count:
        raise InputError(
            f"{INDEX} is {index}, but there are {count} processes",
            fix=f"number the processes from 0 to {count - 1}",
        )
    return Launch(address=address, index=index, count=count, local_devices=devices)


def connect(launch: Launch, tell: Tell) -> Any:
    """Join the other processes; return the store of keys and values that all share.

    Raises:
        InputError: The others can't be reached.
    """
    import jax
    from jax._src.distributed import global_state

    fix = (
        "see that all processes are started, and that the address of process 0 is free "
        "there and can be reached"
    )
    what = f"process {launch.index} of {launch.count} can't join the others at "
    # A preemption is a SIGTERM, and `stopping` takes care of those.
    jax.config.update("jax_enable_preemption_service", False)
    # jax does not raise but abort where the others don't come.
    lonely = InputError(f"{what}{launch.address}", fix=fix)
    catch_aborts(lambda: lonely, tell)
    try:
        jax.distributed.initialize(
            launch.address,
            launch.count,
            launch.index,
            launch.local_devices,
            cluster_detection_method="deactivate",
            initialization_timeout=SECONDS_TO_JOIN,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"{what}{launch.address}: {reason}", fix=fix) from error
    return global_state.client


def devices_of_one(plan: Plan, wanted: int | None, count: int) -> int | None:
    """Return how many host devices each of several processes makes.

    Args:
        plan: Its lanes bound the number.
        wanted: Devices of all processes together; None: as many as fit.
        count: Of the processes.

    Returns:
        None where the one process may choose by itself.

    Raises:
        InputError: The devices can't be shared alike, or the lanes can't.
    """
    if count == 1:
        return wanted
    from runtime.mesh import most_devices

    most = most_devices(plan)
    if count & (count - 1) or count > most:
        raise InputError(
            f"{count} processes can't share the batch: it has lanes for {most} "
            "devices, and their number must be a power of two",
            fix=f"start 1, 2, 4, ... processes, at most {most}, or make batch.lane "
            "smaller",
        )
    if wanted is not None and wanted % count:
        raise InputError(
            f"{wanted} devices can't be shared by {count} processes",
            fix=f"ask for a multiple of {count}",
        )
    usual = default_devices()
    return min(usual, most // count) if wanted is None else wanted // count


def _counted(environment: Mapping[str, str]) -> tuple[int, int] | None:
    for count, index in _COUNTERS:
        if count in environment or index in environment:
            texts = environment.get(count, ""), environment.get(index, "")
            if not all(text.isdecimal() for text in texts):
                raise InputError(
                    f"{count} is {texts[0]!r} and {index} is {texts[1]!r}",
                    fix="set both of them to whole numbers, or none",
                )
            return int(texts[0]), int(texts[1])
    return None


_Detected = tuple[str | None, int | None, int | None, tuple[int, ...] | None]


def _detected(environment: Mapping[str, str]) -> _Detected:
    """Ask jax, unless there is nothing that it could find."""
    nothing: _Detected = (None, None, None, None)
    has_tpu = importlib.util.find_spec("libtpu") is not None and has_chips(GOOGLE)
    if not has_tpu and not any(name in environment for name in _KNOWN_TO_JAX):
        return nothing
    if "KUBERNETES_SERVICE_HOST" in environment and not has_tpu:
        is_told = all(name in environment for name in (ADDRESS, COUNT, INDEX))
        if is_told or not any(name in environment for name in _KNOWN_TO_JAX):
            # jax would ask Kubernetes, which may not answer a pod, for what is known,
            # or for the job of a pod that has none.
            return nothing
    from jax._src.clusters import ClusterEnv

    address, count, index, devices = ClusterEnv.auto_detect_unset_distributed_params(
        environment.get(ADDRESS), None, None, None, None, SECONDS_TO_JOIN
    )
    return address, count, index, None if devices is None else tuple(devices)
