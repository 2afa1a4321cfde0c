"""What is in the wheel, what is in the lock, and what must be in neither."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from imports import MODULES, ROOT, STREET, imported_names

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def normalised(requirement: str) -> str:
    """Name of the distribution that a requirement asks for, as indexes spell it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy of the tree, without the network; its files."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for name in [*STREET, "tests"]:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    # As tempting as can be: a package, were it asked for.
    (tree / "tests" / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    done = subprocess.run(
        [*build, "--outdir", str(folder), str(tree)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_module_spec_and_schema(wheel_names: set[str]) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for name in STREET
        for pattern in ("*.py", "*.yaml", "*.json")
        for path in (ROOT / name).rglob(pattern)
    }
    assert "specs/quickstart.yaml" in expected
    assert sorted(expected - wheel_names) == []


def test_wheel_holds_nothing_else(wheel_names: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(STREET)


def test_lock_pins_everything_that_is_declared() -> None:
    pinned = {normalised(line) for line in re.findall(r"(?m)^[A-Za-z0-9].*==", LOCK)}
    project = PYPROJECT["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert not {normalised(requirement) for requirement in asked} - pinned


def test_lock_has_a_hash_for_each_and_names_no_place() -> None:
    pins = re.findall(r"(?m)^[A-Za-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", LOCK)
    assert len(pins) == len(re.findall(r"(?m)^[A-Za-z0-9]", LOCK))
    assert "://" not in LOCK
    assert " @ " not in LOCK
    assert "/" not in LOCK.replace("codemix (pyproject.toml)", "").split("\n\n")[0]


def test_every_module_that_we_import_is_declared() -> None:
    names = {"ruamel": "ruamel-yaml", "orbax": "orbax-checkpoint", "yaml": "pyyaml"}
    names["google"] = "google-auth"
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    # Beam has an environment of its own, since it can't live beside SentencePiece.
    beam = (ROOT / "requirements-beam.txt").read_text("utf-8").splitlines()
    groups.append([line for line in beam if not line.startswith("#")])
    declared = {normalised(requirement) for group in groups for requirement in group}
    used = set().union(*(imported_names(path) for path in MODULES))
    third_party = used - set(STREET) - set(sys.stdlib_module_names)
    needed = {normalised(names.get(name, name)) for name in third_party}
    assert sorted(needed - declared) == []
