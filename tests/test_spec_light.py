"""The spec language is light: its examples run, and loading it loads little."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path.stem for path in (ROOT / "specs").glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_are_true(name: str) -> None:
    module = importlib.import_module(f"specs.{name}".removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


def test_the_examples_are_found_at_all() -> None:
    found = doctest.DocTestFinder().find(importlib.import_module("specs.apportion"))
    assert sum(len(one.examples) for one in found) >= 3


def test_loading_and_planning_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from specs.loading import load_experiment\n"
        "from specs.report import plan_report\n"
        "from specs.resolve import plan_experiment\n"
        "plan = plan_experiment(load_experiment(Path('specs/debug.yaml')))\n"
        "plan_report(plan, None)\n"
        "print(' '.join(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert {"pydantic", "ruamel"} <= loaded
    assert not loaded & {"jax", "numpy", "jsonschema", "mlflow", "dvc", "tensorflow"}
