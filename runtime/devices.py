"""Devices: set up before jax starts, described for the ledger.

On a CPU the bits of a sum depend on how many threads a single operation may be split
over, which by default is the number of cores. `configure` pins that number, so that a
result does not depend on the cores that happen to be visible, and gives each core a
device of its own. It also pins the instruction set that XLA generates code for.

`configure` must run before jax starts its backend: import this module first.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import sys
from glob import glob
from pathlib import Path
from typing import Any

from specs.errors import InputError

THREADS = 8
"""Threads that XLA's CPU client may split one operation over, whatever the cores. Also
the most host devices per process: with more devices XLA would raise it."""

DEFAULT_ISA = "AVX2"

GOOGLE, NVIDIA = "0x1ae0", "0x10de"
"""Numbers of vendors on the PCI bus."""

PACKAGES = {"tpu": ("libtpu",), "cuda": ("jax_cuda13_plugin", "jax_cuda12_plugin")}
"""What jax calls a platform -> packages, of which it needs one to use it."""

_DEVICE_COUNT = "--xla_force_host_platform_device_count"
_WITHOUT_EFFECT = (_DEVICE_COUNT, "--xla_dump")
"""Beginnings of flags that change no bit."""
_ISA = "--xla_cpu_max_isa"


def configure(
    determinism: str = "exact", num_devices: int | None = None, isa: str | None = None
) -> None:
    """Set the environment that jax reads when it starts.

    Flags that the user has set in `XLA_FLAGS` are respected, and recorded.

    Args:
        determinism: As in the plan.
        num_devices: Host devices, at most `THREADS` of them in exact mode; default:
            the visible cores, rounded down to a power of two. Accelerators are not
            affected.
        isa: Instruction set for XLA's own code, as in `--xla_cpu_max_isa`.

    Raises:
        InputError: jax has started already, with other settings, or `XLA_FLAGS` asks
            for more host devices than exact mode has.
    """
    _leave_absent_tpus_alone()
    given = xla_flags()
    if determinism == "exact":
        _check_host_devices(given)
        wanted = {
            _DEVICE_COUNT: str(min(num_devices or default_devices(), THREADS)),
            "--xla_allow_excess_precision": "false",
            "--xla_gpu_deterministic_ops": "true",
        }
        if platform.machine() == "x86_64":
            wanted[_ISA] = isa or DEFAULT_ISA
        threads = str(THREADS)
    else:
        wanted = {} if num_devices is None else {_DEVICE_COUNT: str(num_devices)}
        if determinism == "same-topology":
            wanted["--xla_gpu_deterministic_ops"] = "true"
        threads = os.environ.get("PJRT_NPROC", "")
    flags = {**wanted, **given}
    text = " ".join(f"{flag}={value}" for flag, value in sorted(flags.items()))
    unchanged = os.environ.get("XLA_FLAGS") == text
    if _is_jax_started() and not unchanged:
        raise InputError(
            "jax has started already, with other XLA flags than the run needs",
            fix="call runtime.devices.configure before anything uses jax",
        )
    os.environ["XLA_FLAGS"] = text
    if threads:
        os.environ["PJRT_NPROC"] = threads


def xla_flags() -> dict[str, str]:
    """Read `XLA_FLAGS` as flag -> value."""
    words = os.environ.get("XLA_FLAGS", "").split()
    pairs = (word.partition("=") for word in words)
    return {flag: value if equals else "true" for flag, equals, value in pairs}


def deciding_settings() -> dict[str, str]:
    """Return what of the flags and threads decides bits, for identities."""
    flags = {
        flag: value
        for flag, value in sorted(xla_flags().items())
        if not flag.startswith(_WITHOUT_EFFECT)
    }
    return {**flags, "threads": os.environ.get("PJRT_NPROC", "")}


def describe() -> dict[str, Any]:
    """Describe the devices that jax found, for the ledger; plain JSON types."""
    from importlib.metadata import version

    import jax

    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "num_devices": len(devices),
        "num_processes": jax.process_count(),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "xla_flags": dict(sorted(xla_flags().items())),
        "cpu_threads": os.environ.get("PJRT_NPROC"),
        "cpu_isa": xla_flags().get(_ISA),
        "cpu": _describe_cpu(),
        "cores_visible": len(_visible_cores()),
    }


def return_free_memory() -> None:
    """Give free memory of this process back to the system, where that can be asked."""
    trim = (
        getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    )
    if trim is not None:
        trim(0)


def _leave_absent_tpus_alone() -> None:
    """Keep a TPU library that is there for planning from looking for chips.

    It would ask the network for them, and complain at length.
    """
    is_installed = importlib.util.find_spec("libtpu") is not None
    if is_installed and not has_chips(GOOGLE) and not has_chips(NVIDIA):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")


def has_chips(vendor: str) -> bool:
    """Return whether there is a PCI device of a vendor."""
    found = Path("/sys/bus/pci/devices").glob("*/vendor")
    return any(path.read_text("ascii").strip() == vendor for path in found)


def has_tpus() -> bool:
    """Return whether this machine has chips of a TPU, usable or not."""
    # Google's network cards have the same vendor.
    nodes = ("/dev/accel*", "/dev/vfio/[0-9]*")
    return has_chips(GOOGLE) and any(map(glob, nodes))


def has_package(platform: str) -> bool:
    """Return whether what jax needs for a platform of `PACKAGES` is installed."""
    return any(importlib.util.find_spec(name) for name in PACKAGES[platform])


def would_use(platform: str) -> bool:
    """Return whether jax would take a platform of `PACKAGES` if the machine has it.

    It is not asked, as whoever asks it holds its devices.
    """
    first = os.environ.get("JAX_PLATFORMS", "").split(",")[0]
    is_meant = first in ("", platform) or (first, platform) == ("gpu", "cuda")
    return is_meant and has_package(platform)


def _check_host_devices(flags: dict[str, str]) -> None:
    count = flags.get(_DEVICE_COUNT, "1")
    if not count.isdigit() or int(count) > THREADS:
        raise InputError(
            f"XLA_FLAGS has {_DEVICE_COUNT}={count}, but exact mode has at most "
            f"{THREADS} host devices per process: more would change how operations "
            "are split over threads, and with it their bits",
            fix=f"ask for at most {THREADS}, or start several processes",
        )


def default_devices() -> int:
    """Return how many host devices a process makes if it is alone."""
    return 1 << (min(len(_visible_cores()), THREADS).bit_length() - 1)


def num_visible_cores() -> int:
    """Return how many cores this process may use."""
    return len(_visible_cores())


def _visible_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _is_jax_started() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bool(bridge.backends_are_initialized())


def _describe_cpu() -> dict[str, str]:
    """Name the CPU and digest its features: both decide which kernels are chosen."""
    facts = {"architecture": platform.machine()}
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return facts
    for line in info.read_text("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        name = name.strip()
        if name == "model name":
            facts.setdefault("model", value.strip())
        elif name in {"flags", "Features"} and "features_digest" not in facts:
            features = " ".join(sorted(value.split()))
            digest = hashlib.sha256(features.encode()).hexdigest()
            facts |= {"features": features, "features_digest": digest}
    return facts
