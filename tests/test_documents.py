"""Readers: every document once, damage named by file and line, any range of rows."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from runtime.documents import (
    Corrupt,
    Document,
    Rows,
    count_documents,
    read_rows,
)
from runtime.file_endings import format_of
from runtime.line_streams import read_lines
from runtime.readers import build_reader

TEXTS = ["first", "zweite \u00e9\n\nline", "", "\u65e5\u672c\u8a9e \U0001f600", "last"]
LINES = b"".join(
    json.dumps({"text": t, "n": i}).encode() + b"\n" for i, t in enumerate(TEXTS)
)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


COMPRESSED = {
    "a.jsonl": LINES,
    "a.jsonl.gz": gzip.compress(LINES),
    "a.jsonl.zst": zstd(LINES),
    # Files that were written piece by piece.
    "b.jsonl.gz": gzip.compress(LINES[:40]) + gzip.compress(LINES[40:]),
    "b.jsonl.zst": zstd(LINES[:40]) + zstd(b"") + zstd(LINES[40:]),
    "no-newline-at-end.jsonl": LINES[:-1],
    "windows.jsonl": LINES.replace(b"}\n", b"}\r\n"),
}


def read(
    folder: Path,
    name: str,
    *,
    rows: tuple[int, int | None] = (0, None),
    columns: frozenset[str] = frozenset(),
    declared: str = "auto",
) -> list[Document | Corrupt]:
    file_format = format_of(name, declared)
    assert file_format is not None
    found = read_rows(
        folder,
        Rows(name, *rows),
        file_format=file_format,
        reader=build_reader(None, "text", file_format),
        columns=columns,
    )
    return list(found)


def corrupt(folder: Path, name: str, data: bytes) -> list[tuple[int, str]]:
    (folder / name).write_bytes(data)
    found = [one for one in read(folder, name) if isinstance(one, Corrupt)]
    assert {one.file for one in found} <= {name}
    return [(one.number, one.what) for one in found]


def write_parquet(path: Path, table: pyarrow.Table, rows_per_group: int = 2) -> None:
    parquet.write_table(table, path, row_group_size=rows_per_group)


@pytest.mark.parametrize("name", COMPRESSED)
def test_lines_are_read_whatever_they_are_packed_in(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(COMPRESSED[name])
    found = read(tmp_path, name, columns=frozenset({"n", "absent"}))
    assert found == [Document(t, name, i + 1, {"n": i}) for i, t in enumerate(TEXTS)]
    assert count_documents(tmp_path / name, "jsonl") == len(TEXTS)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.parquet"])
def test_ranges_of_rows_add_up_to_the_file(tmp_path: Path, name: str) -> None:
    if name == "a.parquet":
        write_parquet(tmp_path / name, pyarrow.table({"text": TEXTS}))
    else:
        (tmp_path / name).write_bytes(COMPRESSED[name])
    whole = read(tmp_path, name)
    assert [one.number for one in whole] == [1, 2, 3, 4, 5]
    for border in range(1, 5):
        first = read(tmp_path, name, rows=(0, border))
        rest = read(tmp_path, name, rows=(border, None))
        assert first + rest == whole
    assert read(tmp_path, name, rows=(1, 4)) == whole[1:4]
    assert read(tmp_path, name, rows=(5, None)) == []


def test_text_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("# T\u00eft\n\n  x\n".encode())
    assert read(tmp_path, "a.md") == [Document("# T\u00eft\n\n  x\n", "a.md", 1)]
    assert count_documents(tmp_path / "a.md", "text") == 1


def test_text_file_that_is_no_utf8_names_the_line(tmp_path: Path) -> None:
    assert corrupt(tmp_path, "a.txt", b"one\ntwo\nthr\xffee\n") == [
        (3, "is not UTF-8: byte 0xff at byte 11 (invalid start byte)")
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "is not JSON: Expecting property name"),
        (b"", "is empty, where a JSON object is needed"),
        (b"[1]", "must be a JSON object, got a list"),
        (b'"text"', "must be a JSON object, got a string"),
        (b"true", "must be a JSON object, got a boolean"),
        (b"1", "must be a JSON object, got a number"),
        (b'{"txt": "a"}', "has no field 'text'"),
        (b'{"text": null}', "'text' must be a string, got null"),
        (b'{"text": ["a"]}', "'text' must be a string, got a list"),
        (b'{"text": 7}', "'text' must be a string, got a number"),
        (b'{"text": "a\xff"}', "is not UTF-8: byte 0xff at byte 11"),
        (b'\xef\xbb\xbf{"text": "a"}', "is not JSON: Unexpected UTF-8 BOM"),
        (b'{"text": "\\ud800"}', "its text holds half of a surrogate pair"),
        (b"[" * 100_000, "is not JSON: maximum recursion depth"),
    ],
)
def test_corrupt_line_is_named_and_the_others_are_read(
    tmp_path: Path, line: bytes, what: str
) -> None:
    good = b'{"text": "good"}\n'
    (found,) = corrupt(tmp_path, "a.jsonl", good + line + b"\n" + good)
    assert found[0] == 2
    assert found[1].startswith(what)
    assert len(read(tmp_path, "a.jsonl")) == 3


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("keep", [0.5, 0.97])
def test_file_that_was_cut_off_is_corrupt(
    tmp_path: Path, name: str, keep: float
) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % (i * i) for i in range(5000))
    packed = gzip.compress(lines) if name.endswith("gz") else zstd(lines)
    found = corrupt(tmp_path, name, packed[: int(len(packed) * keep)])
    assert len(found) in (1, 2)  # the line in the middle may come out as half a line
    assert "is cut off or damaged" in found[-1][1]
    assert count_documents(tmp_path / name, "jsonl") < 5000


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_file_that_is_not_compressed_at_all_is_corrupt(
    tmp_path: Path, name: str
) -> None:
    ((number, what),) = corrupt(tmp_path, name, LINES)
    assert number == 1
    assert what.startswith("is cut off or damaged")


def test_line_that_is_too_long_is_corrupt_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.line_streams.MAX_LINE_BYTES", 64)
    data = b'{"text": "a"}\n' + b"x" * 1000 + b'\n{"text": "b"}\n'
    assert corrupt(tmp_path, "a.jsonl", data) == [(2, "is longer than a line may be")]
    assert len(read(tmp_path, "a.jsonl")) == 3


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)))
def test_lines_come_back_as_written(lines: list[bytes]) -> None:
    stream = io.BytesIO(b"".join(line + b"\n" for line in lines))
    assert list(read_lines(stream)) == [line.rstrip(b"\r") for line in lines]


def test_parquet_gives_text_and_the_columns_asked_for(tmp_path: Path) -> None:
    table = pyarrow.table({"text": TEXTS, "n": range(5), "unused": [b"x"] * 5})
    write_parquet(tmp_path / "a.parquet", table)
    found = read(tmp_path, "a.parquet", columns=frozenset({"n", "absent"}))
    assert found == [
        Document(text, "a.parquet", i + 1, {"n": i}) for i, text in enumerate(TEXTS)
    ]
    assert count_documents(tmp_path / "a.parquet", "parquet") == 5


@pytest.mark.parametrize(
    ("columns", "number", "what"),
    [
        ({"other": ["a"]}, 1, "has no column 'text', only other"),
        ({"text": [1]}, 1, "column 'text' must hold strings, got int64"),
        ({"text": ["a", None]}, 2, "'text' must be a string, got null"),
    ],
)
def test_parquet_without_text_is_corrupt(
    tmp_path: Path, columns: dict[str, list[object]], number: int, what: str
) -> None:
    write_parquet(tmp_path / "a.parquet", pyarrow.table(columns))
    found = [one for one in read(tmp_path, "a.parquet") if isinstance(one, Corrupt)]
    assert [(one.number, one.what) for one in found] == [(number, what)]


@pytest.mark.parametrize("keep", [0, 3, 500])
def test_damaged_parquet_is_corrupt(tmp_path: Path, keep: int) -> None:
    write_parquet(tmp_path / "whole", pyarrow.table({"text": ["abc" * 99] * 999}))
    data = (tmp_path / "whole").read_bytes()[:keep]
    ((_, what),) = corrupt(tmp_path, "a.parquet", data)
    assert what.startswith("can't be read as Parquet")
    assert count_documents(tmp_path / "a.parquet", "parquet") == 0


def test_corrupt_line_tells_the_two_ways_out() -> None:
    problem = Corrupt("data/a.jsonl", 7, "is not JSON").problem()
    assert str(problem) == (
        "data/a.jsonl:7: is not JSON\n"
        "  fix: mend or delete the line and pin again, or set 'on_corrupt: skip'"
    )


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("a.PY", "auto", "text"),
        ("a.rst", "auto", "text"),
        ("a.jsonl.gz", "auto", "jsonl"),
        ("a.json", "auto", "text"),
        ("a.csv", "auto", None),
        ("a.arrow", "auto", "arrow"),
        ("b/Study.IPYNB", "auto", "notebook"),
        ("src/Makefile", "auto", "text"),
        ("a.parquet", "auto", "parquet"),
        ("LICENSE", "auto", None),
        ("a.c", "text", "text"),
        ("a.json.gz", "jsonl", "jsonl"),
    ],
)
def test_format_goes_by_the_name_unless_the_spec_says_it(
    name: str, declared: str, expected: str | None
) -> None:
    assert format_of(name, declared) == expected
