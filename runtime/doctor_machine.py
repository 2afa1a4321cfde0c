"""What this machine has beside its packages: memory, accelerators, services, a sandbox.

Nothing is changed. What lies behind a network is only asked whether anybody listens.
"""

from __future__ import annotations

import configparser
import importlib.util
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from ledger.delivery import tracking_uri
from runtime.compile_cache import cache_root
from runtime.devices import (
    NVIDIA,
    THREADS,
    default_devices,
    has_chips,
    has_package,
    has_tpus,
)
from runtime.devices import xla_flags as given_flags
from runtime.finding import Finding
from runtime.launch import find_launch
from runtime.sandbox.probe import probe
from specs.errors import InputError, Problem

GIB = 1024**3

REACH_SECONDS = 2.0
"""For a service to answer."""

_PORTS = {"http": 80, "https": 443, "ssh": 22, "postgresql": 5432, "mysql": 3306}
_BUCKETS = {"s3": "dvc_s3", "gs": "dvc_gs", "azure": "dvc_azure", "hdfs": "dvc_hdfs"}
"""Scheme of a DVC remote -> the package that DVC needs for it."""

_WEAKENING = {
    "--xla_allow_excess_precision": ("true", "1"),
    "--xla_gpu_deterministic_ops": ("false", "0"),
}
"""Flags of the user that exact mode respects, and values that make it inexact."""


def machine_findings(workspace: Path | None) -> list[Finding]:
    """Look at the machine, and at the services that a workspace names."""
    return [
        _memory(),
        *_accelerators(),
        _exactness(),
        _cache(),
        _processes(),
        _sandbox(),
        *([*_dvc_remotes(workspace), _mlflow(workspace)] if workspace else []),
    ]


def memory_bytes() -> tuple[int, int]:
    """Return the bytes of main memory: all of it, and what is available."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return total, int(line.split()[1]) * 1024
    return total, page * os.sysconf("SC_AVPHYS_PAGES")


def _memory() -> Finding:
    total, available = memory_bytes()
    devices = default_devices()
    return Finding(
        name="memory",
        found=f"{total / GIB:.1f} GiB, {available / GIB:.1f} GiB available; cores for "
        f"{devices} host devices",
    )


def _accelerators() -> list[Finding]:
    """Name accelerators that jax will not see."""
    wanted: list[tuple[str, str]] = []
    if has_chips(NVIDIA) and Path("/dev/nvidiactl").exists():
        wanted.append(("NVIDIA GPU", "cuda"))
    if has_tpus():
        wanted.append(("Google TPU", "tpu"))
    findings = []
    for what, extra in wanted:
        is_usable = has_package(extra)
        findings.append(
            Finding(
                name="accelerator",
                found=what + ("" if is_usable else ", but jax has no package for it"),
                ok=is_usable,
                fix=None if is_usable else f"pip install 'codemix[{extra}]'",
            )
        )
    return findings or [Finding(name="accelerator", found="none: the CPU trains")]


def _exactness() -> Finding:
    flags = given_flags()
    weak = [
        f"{flag}={flags[flag]} in XLA_FLAGS"
        for flag, values in _WEAKENING.items()
        if flags.get(flag, "").lower() in values
    ]
    count = flags.get("--xla_force_host_platform_device_count", "1")
    if not count.isdigit() or int(count) > THREADS:
        weak.append(f"more than {THREADS} host devices in XLA_FLAGS")
    weak += [
        f"{name}={os.environ[name]}"
        for name in ("JAX_DEFAULT_MATMUL_PRECISION", "NVIDIA_TF32_OVERRIDE")
        if os.environ.get(name)
    ]
    return Finding(
        name="exactness",
        found="; ".join(weak) or "no variable weakens exact mode",
        ok=not weak,
        fix="unset what is named, or set determinism: fast" if weak else None,
    )


def _cache() -> Finding:
    root = cache_root()
    if os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "true").lower() in ("false", "0"):
        return Finding(
            name="compile cache",
            found="turned off by JAX_ENABLE_COMPILATION_CACHE",
            fix="unset it to start faster",
        )
    there = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return Finding(
            name="compile cache",
            found=f"{there} can't be written: every start compiles",
            fix="set JAX_COMPILATION_CACHE_DIR to a folder that can be",
        )
    files = list(root.glob("*/*-cache"))
    size = sum(path.stat().st_size for path in files) / 1024**2
    return Finding(
        name="compile cache", found=f"{len(files)} programs, {size:.1f} MiB in {root}"
    )


def _processes() -> Finding:
    try:
        launch = find_launch()
    except InputError as error:
        (problem,) = error.problems
        return Finding(name="processes", found=problem.what, ok=False, fix=problem.fix)
    if launch is None:
        return Finding(name="processes", found="this one, alone")
    return Finding(
        name="processes",
        found=f"number {launch.index} of {launch.count}, joined at {launch.address}",
    )


def _sandbox() -> Finding:
    found = probe()
    if isinstance(found, Problem):
        # Only tasks of code need it, and they refuse by themselves.
        return Finding(name="sandbox", found=f"none: {found.what}", fix=found.fix)
    facts = found.facts
    return Finding(
        name="sandbox",
        found=f"bubblewrap {facts.bubblewrap} holds; programs run on {facts.python}",
    )


def _dvc_remotes(workspace: Path) -> list[Finding]:
    # Read as text: DVC takes a second to load, and connects to nothing when asked.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    config = workspace / ".dvc"
    try:
        parser.read([config / "config", config / "config.local"], "utf-8")
    except configparser.Error as error:
        return [
            Finding(name="dvc remote", found=str(error), ok=False, fix="mend the file")
        ]
    remotes = {
        section.split('"')[1]: parser[section].get("url", "")
        for section in parser.sections()
        if '"' in section and "remote" in section
    }
    if not remotes:
        return [
            Finding(
                name="dvc remote",
                found="none: the data is on this machine alone",
                fix="dvc remote add --default NAME URL",
            )
        ]
    return [_remote(name, url, config) for name, url in sorted(remotes.items())]


def _remote(name: str, url: str, config: Path) -> Finding:
    scheme = urlsplit(url).scheme
    told = f"{name}: {_without_login(url)}"
    if scheme in _BUCKETS:
        module = _BUCKETS[scheme]
        is_there = importlib.util.find_spec(module) is not None
        fix = None if is_there else f"pip install {module.replace('_', '-')}"
        found = told + ("" if is_there else f", but {module} is not installed")
        return Finding(name="dvc remote", found=found, ok=is_there, fix=fix)
    problem = _unreachable(url) if scheme else None
    if not scheme and not (config / url).exists():
        problem = "there is no such folder"
    return Finding(
        name="dvc remote",
        found=told + (f", {problem}" if problem else ""),
        ok=problem is None,
        fix="correct its url in .dvc/config, or start it" if problem else None,
    )


def _mlflow(workspace: Path) -> Finding:
    try:
        uri = tracking_uri(workspace)
    except InputError as error:
        (wrong,) = error.problems
        return Finding(name="mlflow", found=wrong.what, ok=False, fix=wrong.fix)
    if uri.startswith("sqlite:"):
        return Finding(name="mlflow", found="a file of the workspace: .codemix")
    problem = _unreachable(uri)
    return Finding(
        name="mlflow",
        found=_without_login(uri) + (f", {problem}" if problem else ", reachable"),
        # Nothing is lost without it, so it stops no run.
        fix="start it; `codemix ledger sync` delivers what waits" if problem else None,
    )


def _unreachable(url: str) -> str | None:
    """Return why nobody listens at an address; None where somebody does."""
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    try:
        port = parts.port or _PORTS.get(scheme)
        if parts.hostname is None or port is None:
            return None  # nothing to ask
        socket.create_connection((parts.hostname, port), REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        return f"not reachable: {getattr(error, 'strerror', None) or error}"
    return None


def _without_login(url: str) -> str:
    return url if "@" not in url else f"{url.split('://')[0]}://{url.split('@')[-1]}"
