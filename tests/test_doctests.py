"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from imports import MODULES, ROOT

EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)
WITH_EXAMPLES = [path for path in MODULES if EXAMPLE.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_true(path: Path) -> None:
    name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
