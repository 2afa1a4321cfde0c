"""Readers: pinned files in, documents out, one at a time.

A reader yields what it finds in the order of the file: a `Document`, or a `Corrupt`
for a line or row that holds none: whoever consumes decides whether that is an error.
Rows are counted from 1, as editors count lines; every line is a row, an empty one too.
Memory is bounded by one line, one text file or one batch of Parquet rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from runtime.line_streams import MAX_LINE_BYTES, UNREADABLE, open_lines, read_lines
from runtime.nested import has_column, pick_fields
from specs.errors import Problem

Format = Literal["text", "jsonl", "parquet"]

TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst", ".py"})
LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")

PARQUET_ROWS_PER_BATCH = 256
"""Small, as one row may hold a whole book."""


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

    def problem(self) -> Problem:
        """Say what is wrong, and the two ways out."""
        return Problem(
            file=self.file,
            line=self.number,
            what=self.what,
            fix="mend or delete the line and pin again, or set 'on_corrupt: skip'",
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """A range of rows of one file; the unit that work is divided into."""

    file: str
    start_row: int = 0
    """First row, counted from 0."""
    stop_row: int | None = None
    """One past the last row; null: to the end of the file."""


def format_of(path: str, declared: str) -> Format | None:
    """Tell how a file is read.

    Args:
        path: The file's name.
        declared: The source's `format`; `auto` goes by the name.

    Returns:
        The format, or None where the name says nothing.

    >>> format_of("a/b.jsonl.zst", "auto"), format_of("a/b.c", "text")
    ('jsonl', 'text')
    """
    if declared != "auto":
        return declared  # type: ignore[return-value]
    name = path.lower()
    if name.endswith(LINE_SUFFIXES):
        return "jsonl"
    if name.endswith(".parquet"):
        return "parquet"
    return "text" if Path(name).suffix in TEXT_SUFFIXES else None


def count_documents(path: Path, file_format: Format) -> int:
    """Count the rows of a file, as far as it can be read."""
    if file_format == "text":
        return 1
    if file_format == "parquet":
        import pyarrow
        import pyarrow.parquet as parquet

        try:
            with parquet.ParquetFile(path) as file:
                return int(file.metadata.num_rows)
        except (pyarrow.ArrowException, OSError):
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
    text_field: str,
    columns: frozenset[str] = frozenset(),
) -> Iterator[Document | Corrupt]:
    """Read a range of rows of one file.

    Args:
        workspace: The folder that `rows.file` is relative to.
        rows: What to read.
        file_format: How to read it.
        text_field: Key or column of the text; unused for `text`.
        columns: The other keys or columns that are needed.
    """
    path = workspace / rows.file
    if file_format == "text":
        yield _read_text(path, rows.file)
    elif file_format == "jsonl":
        with open_lines(path) as stream:
            yield from _read_json_lines(stream, rows, text_field, columns)
    else:
        yield from _read_parquet(path, rows, text_field, columns)


def _read_text(path: Path, name: str) -> Document | Corrupt:
    if path.stat().st_size > MAX_LINE_BYTES:
        return Corrupt(name, 1, "the file is too large for a single document")
    try:
        return Document(path.read_bytes().decode("utf-8"), name, 1)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return Corrupt(name, line, _describe_bad_utf8(error))


def _read_json_lines(
    stream: BinaryIO, rows: Rows, text_field: str, columns: frozenset[str]
) -> Iterator[Document | Corrupt]:
    number = 0
    lines = iter(enumerate(read_lines(stream), start=1))
    try:
        for number, line in islice(lines, rows.start_row, rows.stop_row):
            yield _parse_line(line, rows.file, number, text_field, columns)
    except UNREADABLE as error:
        # Nothing behind this point can be read, so it counts as one corrupt line.
        yield Corrupt(
            rows.file,
            max(number, rows.start_row) + 1,
            f"is cut off or damaged: {error}",
        )


def _parse_line(
    line: bytes | None,
    file: str,
    number: int,
    text_field: str,
    columns: frozenset[str],
) -> Document | Corrupt:
    if line is None:
        return Corrupt(file, number, "is longer than a line may be")
    if not line.strip():
        return Corrupt(file, number, "is empty, where a JSON object is needed")
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Corrupt(file, number, _describe_bad_utf8(error))
    except (ValueError, RecursionError) as error:
        return Corrupt(file, number, f"is not JSON: {error}")
    if not isinstance(value, dict):
        kind = _json_name(value)
        return Corrupt(file, number, f"must be a JSON object, got {kind}")
    if text_field not in value:
        return Corrupt(file, number, f"has no field '{text_field}'")
    text = value[text_field]
    if not isinstance(text, str):
        kind = _json_name(text)
        return Corrupt(file, number, f"'{text_field}' must be a string, got {kind}")
    if not _is_unicode(text):
        return Corrupt(file, number, f"'{text_field}' holds half of a surrogate pair")
    return Document(text, file, number, pick_fields(value, columns))


def _read_parquet(
    path: Path, rows: Rows, text_field: str, columns: frozenset[str]
) -> Iterator[Document | Corrupt]:
    import pyarrow
    import pyarrow.parquet as parquet

    number = rows.start_row
    try:
        with parquet.ParquetFile(path) as file:
            wrong = _describe_wrong_column(file.schema_arrow, text_field)
            if wrong:
                yield Corrupt(rows.file, number + 1, wrong)
                return
            # A column may be missing where only some files of a source have it.
            present = {one for one in columns if has_column(file.schema_arrow, one)}
            for row in _parquet_rows(file, rows, sorted({text_field} | present)):
                number += 1
                text = row[text_field]
                fields = pick_fields(row, present)
                if text is None:
                    yield Corrupt(rows.file, number, f"'{text_field}' is null")
                else:
                    yield Document(text, rows.file, number, fields)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Corrupt(rows.file, number + 1, f"can't be read as Parquet: {reason}")


def _parquet_rows(file: Any, rows: Rows, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a range, skipping whole row groups before and after it."""
    stop_row = file.metadata.num_rows if rows.stop_row is None else rows.stop_row
    groups, first, start = [], None, 0
    for group in range(file.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        if stop > rows.start_row and start < stop_row:
            first = start if first is None else first
            groups.append(group)
        start = stop
    if first is None:
        return
    batches = file.iter_batches(
        batch_size=PARQUET_ROWS_PER_BATCH, row_groups=groups, columns=names
    )
    found = chain.from_iterable(batch.to_pylist() for batch in batches)
    yield from islice(found, rows.start_row - first, stop_row - first)


def _describe_wrong_column(schema: Any, text_field: str) -> str | None:
    import pyarrow.types

    if text_field not in schema.names:
        names = ", ".join(schema.names)
        return f"has no column '{text_field}', only {names}"
    kind = schema.field(text_field).type
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return None
    return f"column '{text_field}' must hold strings, got {kind}"


def _describe_bad_utf8(error: UnicodeDecodeError) -> str:
    value = error.object[error.start]
    return f"is not UTF-8: byte 0x{value:02x} at byte {error.start} ({error.reason})"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    for kind, name in ((str, "a string"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "a number"
