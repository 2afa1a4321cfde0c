"""What is installed on this machine, and what of it would spoil a run.

Nothing is changed, and jax is imported only to name devices.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from specs.errors import InputError
from specs.loading import find_workspace

PACKAGES = ("specs", "ledger", "runtime", "evals", "codemix_cli")
DISTRIBUTIONS = (
    "codemix", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy",
    "seqio", "tensorflow", "sentencepiece", "pyarrow", "dvc", "mlflow", "pydantic",
)  # fmt: skip
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "LIBTPU_INIT_ARGS",
    "MLFLOW_TRACKING_URI",
    "XLA_FLAGS",
)
"""Variables that change arithmetic, devices or where things are recorded; and JAX_*."""

ENOUGH_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    found: str
    ok: bool = True
    fix: str | None = None


def examine(folder: Path, *, devices: bool = False) -> tuple[Finding, ...]:
    """Look at the installation, and at the workspace that a folder is in.

    Args:
        folder: Where the user is.
        devices: Whether to start jax and name its devices; takes seconds, and claims
            the accelerators for that time.
    """
    return (
        _python(),
        *(_distribution(name) for name in DISTRIBUTIONS),
        _our_packages(),
        _git(folder),
        *_workspace(folder),
        _disk(folder),
        _variables(),
        *([_devices()] if devices else []),
    )


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}"
    return Finding(name="python", found=f"{found} on {platform.platform()}")


def _distribution(name: str) -> Finding:
    try:
        return Finding(name=name, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(
            name=name, found="not installed", ok=False, fix="make setup, or pip install"
        )


def _our_packages() -> Finding:
    # The names are plain words, so another distribution may own one of them here.
    ours = Path(__file__).resolve().parent.parent
    strange = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != ours:
            strange.append(f"{name} is {origin}")
    return Finding(
        name="packages",
        found="; ".join(strange) or f"{', '.join(PACKAGES)} are codemix's own",
        ok=not strange,
        fix="install codemix in a virtual environment of its own" if strange else None,
    )


def _git(folder: Path) -> Finding:
    if shutil.which("git") is None:
        return Finding(name="git", found="not installed", ok=False, fix="install git")
    commit = _ask_git(folder, "rev-parse", "--short", "HEAD")
    if not commit:
        return Finding(name="git", found="no commit here: entries can't name one")
    changed = len(_ask_git(folder, "status", "--porcelain").splitlines())
    state = f"{changed} files changed" if changed else "clean"
    return Finding(name="git", found=f"commit {commit}, {state}")


def _ask_git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def _workspace(folder: Path) -> list[Finding]:
    try:
        workspace = find_workspace(folder / "any.yaml")
    except InputError:
        return [Finding(name="workspace", found="none here", fix="codemix init DIR")]
    state = workspace / ".codemix"
    writable = os.access(state if state.exists() else workspace, os.W_OK)
    entries = len(list((state / "ledger" / "entries").glob("*.json")))
    return [
        Finding(
            name="workspace",
            found=f"{'writable' if writable else 'not writable'}, {entries} entries",
            ok=writable,
            fix=None if writable else f"let {workspace} be written",
        )
    ]


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    enough = free >= ENOUGH_FREE_BYTES
    return Finding(
        name="disk",
        found=f"{free / 1024**3:.1f} GiB free",
        ok=enough,
        fix=None if enough else "free space: checkpoints are written whole",
    )


def _variables() -> Finding:
    names = sorted(
        name for name in os.environ if name in VARIABLES or name.startswith("JAX_")
    )
    told = ", ".join(f"{name}={os.environ[name]}" for name in names)
    return Finding(name="variables", found=told or "none that matter")


def _devices() -> Finding:
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        fix = "check the driver, or set JAX_PLATFORMS=cpu"
        return Finding(name="devices", found=str(error), ok=False, fix=fix)
    kinds = sorted({device.device_kind for device in devices})
    found = f"{len(devices)} x {', '.join(kinds)} ({jax.default_backend()})"
    return Finding(name="devices", found=found)
