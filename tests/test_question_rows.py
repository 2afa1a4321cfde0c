from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
import pytest
import zstandard

from runtime.question_rows import read_rows, rows_digest
from specs.errors import InputError
from specs.task import TaskData

ROWS = [
    {"question": "Is the sky blue?", "answer": True, "extra": 1},
    {"question": "Is caf\u00e9 a word?", "answer": False, "extra": 2},
]
PINNED = [{"question": row["question"], "answer": row["answer"]} for row in ROWS]


def data(file: str = "benchmarks/sky/test.jsonl", **changed: Any) -> TaskData:
    return TaskData(
        file=file,
        split="test",
        licence="CC0",
        fields=("question", "answer"),
        **changed,
    )


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.compress(text))
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".arrow":
        table = pa.Table.from_pylist(rows)
        with ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table)
    else:
        path.write_bytes(text)
    return path


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.arrow"]
)
def test_the_same_rows_have_one_digest_in_every_format(tmp_path: Path, name: str):
    rows = read_rows(write(tmp_path / name, ROWS), data())
    assert rows == PINNED
    assert rows_digest(rows) == rows_digest(PINNED)


def test_the_digest_sees_every_change_of_what_is_pinned():
    digests = {
        rows_digest(PINNED),
        rows_digest(PINNED[::-1]),
        rows_digest(PINNED[:1]),
        rows_digest([{**PINNED[0], "answer": False}, PINNED[1]]),
    }
    assert len(digests) == 4


def test_other_rows_than_the_pin_are_refused_with_both_digests(tmp_path: Path):
    path = write(tmp_path / "a.jsonl", ROWS[:1])
    pinned = data(sha256=rows_digest(PINNED), rows=2, published="example/sky at 12ab")
    with pytest.raises(InputError) as caught:
        read_rows(path, pinned)
    count, digest = caught.value.problems
    assert count.what == "has 1 rows, the task declares 2"
    assert rows_digest(PINNED[:1]) in digest.what
    assert rows_digest(PINNED) in digest.what
    assert "example/sky at 12ab" in str(digest.fix)


def test_every_bad_row_is_told(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    lines = [
        b'{"question": "a", "answer": 1}',
        b"[]",
        b"{",
        b'{"question": 1}',
        b"\xff",
    ]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError) as caught:
        read_rows(path, data())
    problems = caught.value.problems
    assert [one.line for one in problems] == [2, 3, 4, 5]
    assert problems[2].what == "has no field 'answer', only question"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.arrow"])
def test_a_cut_file_is_refused(tmp_path: Path, name: str):
    path = write(tmp_path / name, ROWS * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="can't be read"):
        read_rows(path, data())


def test_a_file_without_rows_is_refused(tmp_path: Path):
    path = write(tmp_path / "a.jsonl", [])
    with pytest.raises(InputError, match="no question"):
        read_rows(path, data())


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("question,answer\n")
    with pytest.raises(InputError, match="nothing says how to read it"):
        read_rows(path, data())
