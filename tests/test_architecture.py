"""The street has one direction, and what is heavy stays in its room."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from imports import MODULES, ROOT, STREET, imported_names

LONGEST_FILE_LINES = 300

HEAVY = {
    "dvc",
    "flax",
    "jax",
    "jaxlib",
    "mlflow",
    "optax",
    "orbax",
    "pyarrow",
    "seqio",
    "tensorflow",
    "torch",
    "transformers",
}
ARRAYS_ON_DEVICES = {"jax", "jaxlib", "flax", "optax", "orbax"}
# Name that is imported -> how many files may, and in which package.
ROOMS = {
    "mlflow": ("ledger", 1),
    "dvc": ("ledger", 1),
    "seqio": ("runtime", 1),
    "tensorflow": ("runtime", 1),
    "lm_eval": ("evals", 1),
    "click": ("codemix_cli", None),
    "rich": ("codemix_cli", None),
}


def module_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after `code`."""
    script = f"import sys\n{code}\nsys.stderr.write('\\n' + ' '.join(sys.modules))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stderr.splitlines()[-1].split()}


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_module_imports_only_packages_to_its_left(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    to_the_right = set(STREET[STREET.index(package) + 1 :])
    assert not imported_names(path) & (to_the_right | {"tests", "bench"})


@pytest.mark.parametrize("package", ["specs", "ledger", "codemix_cli"])
def test_package_knows_nothing_of_arrays_on_devices(package: str) -> None:
    modules = [path for path in MODULES if path.relative_to(ROOT).parts[0] == package]
    guilty = {module_id(path): imported_names(path) for path in modules}
    assert not {name for name in guilty if guilty[name] & ARRAYS_ON_DEVICES}


@pytest.mark.parametrize("name", ROOMS)
def test_library_is_imported_in_its_room_alone(name: str) -> None:
    package, most_files = ROOMS[name]
    files = [path for path in MODULES if name in imported_names(path)]
    assert {path.relative_to(ROOT).parts[0] for path in files} <= {package}
    if most_files is not None:
        assert len(files) <= most_files, [module_id(path) for path in files]


def test_specs_read_no_clock_and_start_nothing() -> None:
    guilty = {
        module_id(path)
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == "specs"
        and imported_names(path)
        & {"time", "datetime", "random", "socket", "subprocess"}
    }
    assert not guilty


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_module_is_ascii_and_fits_in_a_head(path: Path) -> None:
    text = path.read_text("ascii")
    assert len(text.splitlines()) <= LONGEST_FILE_LINES


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["validate", "specs/debug.yaml"], ["plan", "specs/debug.yaml"]],
    ids=" ".join,
)
def test_light_command_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_by(
        "from codemix_cli.main import cli\n"
        f"code = cli({arguments!r}, prog_name='codemix', standalone_mode=False)\n"
        "assert not code, code"
    )
    assert "codemix_cli" in loaded
    assert not loaded & HEAVY


def test_help_loads_not_even_the_spec_language() -> None:
    loaded = loaded_by("from codemix_cli.main import cli")
    assert "click" in loaded
    assert not loaded & {"pydantic", "ruamel", "rich", "numpy"}


@pytest.mark.parametrize("package", ["specs", "ledger"])
def test_every_module_of_a_light_package_loads_without_jax(package: str) -> None:
    modules = [
        module_id(path).removesuffix(".py").replace("/", ".")
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == package and path.stem != "__init__"
    ]
    loaded = loaded_by("\n".join(f"import {name}" for name in modules))
    assert not loaded & HEAVY


def test_packages_are_ours_and_not_shadowed() -> None:
    for name in STREET:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin == str(ROOT / name / "__init__.py")
