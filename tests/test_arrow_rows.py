"""Rows of Parquet and Arrow files: a bad row is named, the others are read."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
import pytest

from runtime.arrow_rows import ROWS_PER_BATCH
from runtime.documents import Corrupt, Document, Rows, count_documents, read_rows
from runtime.file_endings import Format
from runtime.readers import build_reader

ROOT = Path(__file__).resolve().parent.parent
NUM_ROWS = 3 * ROWS_PER_BATCH // 2
WAYS = ["parquet", "arrow file", "arrow stream"]
BAD = b"not \xff text"


def text_column(bad: dict[int, bytes]) -> Any:
    """Make a column of strings, some of which are no UTF-8, as careless writers do."""
    values = [bad.get(index, b"text %d" % index) for index in range(NUM_ROWS)]
    return pyarrow.array(values, pyarrow.binary()).view(pyarrow.string())


def write(folder: Path, way: str, table: Any, rows_per_batch: int = 200) -> str:
    """Write a file in batches or row groups and return its name."""
    name = "a.parquet" if way == "parquet" else "a.arrow"
    path = folder / name
    if way == "parquet":
        parquet.write_table(table, path, row_group_size=rows_per_batch)
        return name
    new = ipc.new_file if way == "arrow file" else ipc.new_stream
    with new(path, table.schema) as writer:
        writer.write_table(table, rows_per_batch)
    return name


def read(
    folder: Path, name: str, rows: tuple[int, int | None] = (0, None), *columns: str
) -> list[Document | Corrupt]:
    file_format: Format = "parquet" if name.endswith(".parquet") else "arrow"
    found = read_rows(
        folder,
        Rows(name, *rows),
        file_format=file_format,
        reader=build_reader(None, "text", file_format),
        columns=frozenset(columns),
    )
    return list(found)


@pytest.mark.parametrize("way", WAYS)
def test_row_that_is_no_utf8_is_named_and_the_others_are_read(
    tmp_path: Path, way: str
) -> None:
    table = pyarrow.table({"text": text_column({5: BAD, NUM_ROWS - 1: BAD})})
    found = read(tmp_path, write(tmp_path, way, table))
    assert [one.number for one in found] == [*range(1, NUM_ROWS + 1)]
    bad = [one for one in found if isinstance(one, Corrupt)]
    what = "'text' is not UTF-8: byte 0xff at byte 4 (invalid start byte)"
    assert [(one.number, one.what, one.unit) for one in bad] == [
        (6, what, "row"),
        (NUM_ROWS, what, "row"),
    ]
    assert [one.text for one in found if isinstance(one, Document)] == [
        f"text {index}" for index in range(NUM_ROWS) if index not in (5, NUM_ROWS - 1)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_bad_utf8_in_another_column_is_named_by_that_column(
    tmp_path: Path, way: str
) -> None:
    texts = [f"text {index}" for index in range(NUM_ROWS)]
    table = pyarrow.table({"text": texts, "lang": text_column({3: BAD})})
    name = write(tmp_path, way, table)
    assert not [one for one in read(tmp_path, name) if isinstance(one, Corrupt)]
    found = read(tmp_path, name, (0, None), "lang")
    [bad] = [one for one in found if isinstance(one, Corrupt)]
    assert bad.number == 4
    assert bad.what.startswith("'lang' is not UTF-8")


@pytest.mark.parametrize("way", WAYS)
def test_bad_utf8_deep_in_a_column_is_named_by_its_row(
    tmp_path: Path, way: str
) -> None:
    inner = text_column({7: BAD})
    events = pyarrow.StructArray.from_arrays([inner], names=["text"])
    lists = pyarrow.ListArray.from_arrays([*range(NUM_ROWS + 1)], events)
    name = write(tmp_path, way, pyarrow.table({"events": lists}))
    file_format: Format = "parquet" if way == "parquet" else "arrow"
    reader = build_reader('{"kind": "issue"}', "text", file_format)
    found = [*read_rows(tmp_path, Rows(name), file_format=file_format, reader=reader)]
    [bad] = [one for one in found if isinstance(one, Corrupt)]
    assert (bad.number, len(found)) == (8, NUM_ROWS)
    assert bad.what.startswith("'events' is not UTF-8: byte 0xff at byte 4")


@pytest.mark.parametrize("way", WAYS)
def test_ranges_of_rows_add_up_to_the_file(tmp_path: Path, way: str) -> None:
    name = write(tmp_path, way, pyarrow.table({"text": text_column({})}))
    whole = read(tmp_path, name)
    assert len(whole) == NUM_ROWS
    for border in (1, 199, 200, 201, 256, 300, NUM_ROWS - 1):
        rest = read(tmp_path, name, (border, None))
        assert read(tmp_path, name, (0, border)) + rest == whole
    assert read(tmp_path, name, (190, 210)) == whole[190:210]
    assert read(tmp_path, name, (NUM_ROWS, None)) == []
    assert count_documents(tmp_path / name, "parquet" if way == "parquet" else "arrow")


@pytest.mark.parametrize("way", WAYS)
def test_strings_may_be_large_or_in_a_dictionary(tmp_path: Path, way: str) -> None:
    column = pyarrow.chunked_array([["a", "b", "a"]])
    large = column.cast(pyarrow.large_string())
    for kind in (large, column.dictionary_encode()):
        name = write(tmp_path, way, pyarrow.table({"text": kind}))
        texts = [one.text for one in read(tmp_path, name) if isinstance(one, Document)]
        assert texts == ["a", "b", "a"]


@pytest.mark.parametrize("way", WAYS)
def test_columns_asked_for_come_with_the_text(tmp_path: Path, way: str) -> None:
    meta = [{"set": "x", "other": 1}, {"set": None, "other": 2}]
    table = pyarrow.table({"n": [1, 2], "meta": meta, "text": ["a", "b"]})
    name = write(tmp_path, way, table)
    found = read(tmp_path, name, (0, None), "n", "meta.set", "absent")
    assert [one.fields for one in found if isinstance(one, Document)] == [
        {"n": 1, "meta.set": "x"},
        {"n": 2, "meta.set": None},
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9])
def test_file_that_was_cut_off_is_corrupt_as_a_file(
    tmp_path: Path, way: str, share: float
) -> None:
    name = write(tmp_path, way, pyarrow.table({"text": text_column({})}))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    *read_rows_, last = read(tmp_path, name)
    assert isinstance(last, Corrupt)
    kind = "Parquet" if way == "parquet" else "Arrow"
    assert last.what.startswith(f"can't be read as {kind}: ")
    assert (last.unit, last.number) == ("file", len(read_rows_) + 1)
    assert not [one for one in read_rows_ if isinstance(one, Corrupt)]


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    column = pyarrow.array(["a"])
    table = pyarrow.Table.from_arrays([column, column], names=["text", "text"])
    name = write(tmp_path, "arrow file", table)
    [found] = read(tmp_path, name)
    assert isinstance(found, Corrupt)
    assert found.what == "has two columns 'text'"


DAMAGED = """
import sys
from pathlib import Path
from runtime.documents import Rows, read_rows
from runtime.readers import build_reader

folder = Path(sys.argv[1])
for path in sorted(folder.iterdir()):
    kind = path.suffix[1:]
    reader = build_reader(None, "text", kind)
    for _ in read_rows(folder, Rows(path.name), file_format=kind, reader=reader):
        pass
"""


def test_damage_anywhere_is_told_and_never_ends_the_process(tmp_path: Path) -> None:
    chosen = random.Random(1)
    folder = tmp_path / "damaged"
    folder.mkdir()
    for way in WAYS:
        name = write(tmp_path, way, pyarrow.table({"text": text_column({})}))
        data = (tmp_path / name).read_bytes()
        for number in range(60):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[chosen.randrange(len(data))] = chosen.randrange(256)
            suffix = Path(name).suffix
            (folder / f"{way} {number:02d}{suffix}").write_bytes(damaged)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-600:]
