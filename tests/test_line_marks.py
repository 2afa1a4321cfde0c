"""Ranges of a plain file: the same lines in any order, and no byte read for nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import documents, line_marks
from runtime.documents import Corrupt, Rows, read_rows
from runtime.readers import build_reader

LINES = 40


def text_of(number: int) -> str:
    return f"{number} {'x' * number}"


def write_file(folder: Path) -> None:
    lines = [json.dumps({"text": text_of(number)}) for number in range(LINES)]
    lines[7] = "no json"
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_file(tmp_path)
    return tmp_path


def read(workspace: Path, start: int, stop: int | None) -> list[tuple[int, str]]:
    found = read_rows(
        workspace,
        Rows("a.jsonl", start, stop),
        file_format="jsonl",
        reader=build_reader(None, "text", "jsonl"),
        columns=frozenset(),
    )
    return [
        (one.number, "corrupt" if isinstance(one, Corrupt) else one.text)
        for one in found
    ]


@given(
    st.lists(st.tuples(st.integers(0, LINES), st.integers(0, LINES)), max_size=6),
)
@settings(max_examples=60)
def test_every_range_has_its_lines_whatever_was_read_before(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("marks")
    write_file(folder)
    every = read(folder, 0, None)
    assert len(every) == LINES
    for one, other in ranges:
        start, stop = sorted((one, other))
        assert read(folder, start, stop) == every[start:stop]
        assert read(folder, start, None) == every[start:]


def test_a_range_goes_on_where_the_one_before_ended(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counting(stream: Any, line: int) -> int:
        asked.append(before := line_marks.go_near(stream, line))
        return before

    monkeypatch.setattr(documents, "go_near", counting)
    for start in range(0, LINES, 10):
        read(workspace, start, start + 10)
    assert asked == [0, 10, 20, 30]


def test_a_file_that_changed_is_read_from_its_beginning(workspace: Path) -> None:
    read(workspace, 0, 20)
    path = workspace / "a.jsonl"
    text = path.read_text()
    path.write_text(json.dumps({"text": "new"}) + "\n" + text)
    os.utime(path, ns=(0, 0))
    assert read(workspace, 20, 21) == [(21, text_of(19))]
