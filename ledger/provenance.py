"""Which code and which machine: collected from what is really there.

The code is known by the files that Python imports, by the commit of the repository that
holds them, and by a patch from that commit to the files. Nothing here imports jax: what
devices there are is the runtime's to say.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution as Installed
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from ledger.facts import (
    CodeFacts,
    Cpu,
    Distribution,
    EnvironmentFacts,
    ObjectRef,
)
from ledger.repository import inspect_repository
from ledger.secrets import discreet, is_secret_name

OUR_PACKAGES = ("specs", "ledger", "runtime", "evals", "codemix_cli")

_VARIABLES = re.compile(
    r"^(XLA_|JAX_|LIBTPU_|TPU_|NCCL_|CUBLAS_|CUDA_VISIBLE_DEVICES$|TF_CPP_|TF_ENABLE_"
    r"|NVIDIA_TF32_OVERRIDE$|OMP_|MKL_|OPENBLAS_|ONEDNN_|DNNL_|PYTHONHASHSEED$)"
)


def collect_code(workspace: Path, put: Callable[[bytes], ObjectRef]) -> CodeFacts:
    """Find out which code runs.

    Args:
        workspace: Of the spec.
        put: Keeps a patch and returns the reference to it, such as `ObjectStore.put`.
    """
    root = Path(__file__).parents[1]
    return CodeFacts(
        codemix=_codemix_version(),
        packages=package_digests(),
        repository=inspect_repository(root, put, holds=root / "ledger" / "__init__.py"),
        workspace=inspect_repository(workspace, put),
    )


def package_digests() -> dict[str, str]:
    """Digest the files of each of our packages, as Python imports them."""
    root = Path(__file__).parents[1]
    return {
        name: _files_digest(root / name)
        for name in OUR_PACKAGES
        if (root / name).is_dir()
    }


def collect_environment() -> EnvironmentFacts:
    """Find out on which machine and software this process runs."""
    return EnvironmentFacts(
        distributions=_installed(distributions()),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        python_build=" ".join([*platform.python_build(), platform.python_compiler()]),
        system=_system(),
        kernel=platform.release(),
        libc=" ".join(platform.libc_ver()),
        cpu=_cpu(),
        variables={
            name: discreet(value)
            for name, value in sorted(os.environ.items())
            if _VARIABLES.match(name) and not is_secret_name(name)
        },
    )


def _codemix_version() -> str:
    try:
        return version("codemix")
    except PackageNotFoundError:
        return "not installed"


def _files_digest(folder: Path) -> str:
    """Digest over the names and bytes of a package's files, compiled ones left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix()
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _installed(found: Iterable[Installed]) -> dict[str, Distribution]:
    facts: dict[str, Distribution] = {}
    for distribution in found:
        name = distribution.metadata["Name"]
        if not name:
            continue
        normal = re.sub(r"[-_.]+", "-", name).lower()
        # The first one found is the one that Python imports.
        facts.setdefault(
            normal,
            Distribution(
                version=distribution.version,
                files_sha256=_record_digest(distribution.read_text("RECORD")),
            ),
        )
    return dict(sorted(facts.items()))


def _record_digest(record: str | None) -> str | None:
    """Digest over what an installer recorded of a distribution's own files.

    Left out is what differs between equal installations: scripts, which name the
    interpreter, compiled files, and notes of the installer.
    """
    if record is None:
        return None
    lines = [
        line
        for line in record.splitlines()
        if ",sha256=" in line
        and not line.startswith(("../", "/", '"'))
        and ".dist-info/" not in line
        and ".pyc," not in line
    ]
    if not lines:
        return None
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _system() -> str:
    try:
        release = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        release = platform.version()
    return f"{platform.system()} {release}".strip()


def _cpu() -> Cpu:
    described = _cpu_description()
    flags = described.get("flags") or described.get("Features") or ""
    num_cores = os.cpu_count() or 1
    has_affinity = sys.platform == "linux"
    return Cpu(
        architecture=platform.machine(),
        model=described.get("model name") or platform.processor() or None,
        features=tuple(sorted(flags.split())),
        num_cores=num_cores,
        num_usable_cores=len(os.sched_getaffinity(0)) if has_affinity else num_cores,
    )


def _cpu_description() -> dict[str, str]:
    """Read what Linux says of the first core; nothing on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    first = text.partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
