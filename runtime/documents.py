"""Readers: pinned files in, documents out, one at a time.

A reader yields what it finds in the order of the file: a `Document`, or a `Corrupt`
for a line or row that holds none: whoever consumes decides whether that is an error.
Rows are counted from 1, as editors count lines; every line is a row, an empty one too.
What of a row is its text is decided by a `RowReader`. Memory is bounded by one line,
one text file or one batch of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from runtime.file_endings import Format
from runtime.line_marks import go_near, set_mark
from runtime.line_streams import (
    MAX_LINE_BYTES,
    UNREADABLE,
    describe_bad_utf8,
    is_plain,
    open_lines,
    read_lines,
)
from runtime.nested import pick_fields
from runtime.readers.row import Row, RowReader, WrongRowError, json_name
from specs.errors import Problem

_FIXES = {
    "line": "mend or delete the line and pin again, or set 'on_corrupt: skip'",
    "row": "mend or delete the row and pin again, or set 'on_corrupt: skip'",
    "file": "mend the file or get it again, and pin again, or set 'on_corrupt: skip' "
    "to leave out what can't be read",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One text, with where it came from."""

    text: str
    file: str
    """Relative to the workspace."""
    number: int
    """Line or row, counted from 1; 1 for a text file."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The other keys or columns; `a.b` is the key b within a."""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A line or row that holds no document."""

    file: str
    number: int
    what: str
    unit: Literal["line", "row", "file"] = "line"
    """What is corrupt; of a file that is cut off, all that is behind `number`."""

    def problem(self) -> Problem:
        """Say what is wrong, and the two ways out."""
        return Problem(
            file=self.file, line=self.number, what=self.what, fix=_FIXES[self.unit]
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """A range of rows of one file; the unit that work is divided into."""

    file: str
    start_row: int = 0
    """First row, counted from 0."""
    stop_row: int | None = None
    """One past the last row; null: to the end of the file."""


def count_documents(path: Path, file_format: Format) -> int:
    """Count the rows of a file, as far as it can be read."""
    if file_format in ("text", "notebook"):
        return 1
    if file_format != "jsonl":
        from runtime import arrow_rows

        is_parquet = file_format == "parquet"
        count_rows = arrow_rows.count_parquet if is_parquet else arrow_rows.count_arrow
        try:
            return count_rows(path)
        except arrow_rows.UNREADABLE:
            return 0
    count = 0
    with open_lines(path) as stream:
        try:
            for _ in read_lines(stream):
                count += 1
        except UNREADABLE:
            pass  # Reading the documents names the line; counting has no say in it.
    return count


def read_rows(
    workspace: Path,
    rows: Rows,
    *,
    file_format: Format,
    reader: RowReader,
    columns: frozenset[str] = frozenset(),
) -> Iterator[Document | Corrupt]:
    """Read a range of rows of one file.

    Args:
        workspace: The folder that `rows.file` is relative to.
        rows: What to read.
        file_format: How to read it.
        reader: What of a row is the text.
        columns: The other keys or columns that are needed.
    """
    path = workspace / rows.file
    if file_format in ("text", "notebook"):
        found = iter([(1, _read_text(path, rows.file, reader))])
    elif file_format == "jsonl":
        found = _read_json_lines(path, rows)
    else:
        found = _read_arrow(path, rows, file_format, reader, columns)
    for number, row in found:
        if isinstance(row, Corrupt):
            yield row
            continue
        try:
            text = reader.text(row)
            text.encode("utf-8")
        except WrongRowError as error:
            yield Corrupt(rows.file, number, str(error), _UNITS[file_format])
        except UnicodeEncodeError:
            what = "its text holds half of a surrogate pair"
            yield Corrupt(rows.file, number, what, _UNITS[file_format])
        else:
            yield Document(text, rows.file, number, pick_fields(row, columns))


_UNITS: dict[Format, Literal["line", "row", "file"]] = {
    "text": "file",
    "notebook": "file",
    "jsonl": "line",
    "parquet": "row",
    "arrow": "row",
}


def _read_text(path: Path, file: str, reader: RowReader) -> Row | Corrupt:
    """Return a whole file as a row of one column."""
    if reader.lists or len(reader.strings) != 1:
        names = ", ".join(sorted(reader.required))
        what = f"has no columns, and the source's reader needs {names}"
        return Corrupt(file, 1, what, "file")
    [name] = reader.strings
    if path.stat().st_size > MAX_LINE_BYTES:
        return Corrupt(file, 1, "the file is too large for a single document", "file")
    try:
        return {name: path.read_bytes().decode("utf-8")}
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return Corrupt(file, line, describe_bad_utf8(error), "file")


def _read_json_lines(path: Path, rows: Rows) -> Iterator[tuple[int, Row | Corrupt]]:
    number, stop = 0, rows.stop_row
    with open_lines(path) as stream:
        before = go_near(stream, rows.start_row) if is_plain(path) else 0
        lines = iter(enumerate(read_lines(stream), start=before + 1))
        try:
            for number, line in islice(
                lines, rows.start_row - before, None if stop is None else stop - before
            ):
                found = _parse_line(line)
                if isinstance(found, str):
                    yield number, Corrupt(rows.file, number, found)
                else:
                    yield number, found
            if is_plain(path) and number == stop:
                set_mark(stream, stop)
        except UNREADABLE as error:
            # Nothing behind this point can be read, so it counts as one corrupt line.
            number = max(number, rows.start_row) + 1
            what = f"is cut off or damaged: {error}"
            yield number, Corrupt(rows.file, number, what, "file")


def _parse_line(line: bytes | None) -> Row | str:
    """Return the object of a line, or say what is wrong with it."""
    if line is None:
        return "is longer than a line may be"
    if not line.strip():
        return "is empty, where a JSON object is needed"
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return describe_bad_utf8(error)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    if not isinstance(value, dict):
        return f"must be a JSON object, got {json_name(value)}"
    return value


def _read_arrow(
    path: Path,
    rows: Rows,
    file_format: Format,
    reader: RowReader,
    columns: frozenset[str],
) -> Iterator[tuple[int, Row | Corrupt]]:
    from runtime import arrow_rows

    is_parquet = file_format == "parquet"
    read = arrow_rows.read_parquet if is_parquet else arrow_rows.read_arrow
    number = rows.start_row
    try:
        for found in read(path, rows.start_row, rows.stop_row, reader, columns):
            number += 1
            if isinstance(found, str):
                yield number, Corrupt(rows.file, number, found, "row")
            else:
                yield number, found
    except arrow_rows.WrongColumnsError as error:
        yield number + 1, Corrupt(rows.file, number + 1, str(error), "file")
    except arrow_rows.UNREADABLE as error:
        kind = "Parquet" if is_parquet else "Arrow"
        what = f"can't be read as {kind}: {arrow_rows.first_line(error)}"
        yield number + 1, Corrupt(rows.file, number + 1, what, "file")
