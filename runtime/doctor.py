"""What is installed on this machine, and what of it would spoil a run.

Nothing is changed, and jax is imported only to name devices or to look at a spec.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from runtime.doctor_machine import machine_findings
from runtime.doctor_spec import device_finding, spec_findings
from runtime.finding import Finding
from specs.errors import InputError
from specs.workspace import find_workspace

PACKAGES = ("specs", "ledger", "runtime", "evals", "codemix_cli")
DISTRIBUTIONS = (
    "codemix", "jax", "jaxlib", "flax", "optax", "tensorstore", "numpy",
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


def examine(
    folder: Path, *, spec: Path | None = None, devices: bool = False
) -> tuple[Finding, ...]:
    """Look at the installation, and at the workspace that a folder is in.

    Args:
        folder: Where the user is.
        spec: What is to be run here, if it is asked whether it can be.
        devices: Whether to start jax and name its devices; takes seconds, and claims
            the accelerators for that time. With a spec it is always done.

    Raises:
        SpecError: The spec is wrong.
        InputError: There is no such spec.
    """
    place = spec.parent if spec is not None else folder
    workspace = _workspace_of(place)
    findings = [
        _python(),
        *(_distribution(name) for name in DISTRIBUTIONS),
        _our_packages(),
        _git(place),
        *_workspace(workspace),
        _disk(place),
        _variables(),
        *machine_findings(workspace),
    ]
    if spec is not None:
        # Before jax starts: what it finds depends on what the spec asks for.
        findings += spec_findings(spec, workspace)
    elif devices:
        findings.append(device_finding())
    return tuple(findings)


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


def _workspace_of(folder: Path) -> Path | None:
    try:
        return find_workspace(folder / "any.yaml")
    except InputError:
        return None


def _workspace(workspace: Path | None) -> list[Finding]:
    if workspace is None:
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
