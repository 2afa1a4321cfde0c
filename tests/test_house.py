"""The house keeps its own rules: decisions are indexed, no file names a machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from imports import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
INDEX = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")

# Where packages are fetched from, and folders of people's and builders' machines.
PLACES = re.compile(
    r"https?://[^\s\"]+/(simple|packages)/|(?<![\w.])/(home|root|work)/"
)


def tracked_texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git repository: nothing tells which files are codemix's")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_decision_has_number_date_question_choice_and_price(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.search(r"(?m)^20\d\d-\d\d-\d\d$", text)
    for part in ("**Question.**", "**Choice.**", "**Given up.**"):
        assert part in text


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_decision_is_in_the_index_by_its_title(path: Path) -> None:
    number, title = (
        path.read_text("utf-8").split("\n")[0].removeprefix("# ").split(" ", 1)
    )
    assert f"| [{number}]({path.name}) | {title} |" in INDEX


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers)


def test_no_tracked_file_names_a_package_index_or_a_machine() -> None:
    found = []
    for path in tracked_texts():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.name}: {match[0]}" for match in PLACES.finditer(text)]
    assert found == []


def test_no_tracked_file_is_data() -> None:
    large = [path.name for path in tracked_texts() if path.stat().st_size > 1_000_000]
    assert large == []
