"""Rows of Parquet and Arrow files, one batch at a time, bad rows told one by one.

Memory is bounded by a row group's columns or a record batch, as the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
from pyarrow import types

from runtime.line_streams import describe_bad_utf8
from runtime.nested import has_column
from runtime.readers.row import RowReader

ROWS_PER_BATCH = 256
"""Small, as one row may hold a whole book."""

_FILE_MAGIC = b"ARROW1"

UNREADABLE = (pyarrow.ArrowException, OSError, UnicodeDecodeError)
"""What reading rows raises where a file is cut off or damaged."""

_BAD_VALUES = (pyarrow.ArrowException, ValueError, OverflowError)
"""What turning values into Python's raises, texts and dates among them."""


class WrongColumnsError(Exception):
    """A file whose columns can't be what is asked for; its message says why."""


Found = dict[str, Any] | str
"""A row, or what is wrong with it."""


def count_parquet(path: Path) -> int:
    """Count the rows that a Parquet file says it has.

    Raises:
        UNREADABLE: It is cut off or damaged.
    """
    with parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def count_arrow(path: Path) -> int:
    """Count the rows of an Arrow file or stream.

    Raises:
        UNREADABLE: It is cut off or damaged.
    """
    with _open_arrow(path) as opened:
        first = opened.schema.names[:1]
    with _open_arrow(path, first) as opened:
        return sum(batch.num_rows for batch in _arrow_batches(opened))


def read_parquet(
    path: Path,
    start_row: int,
    stop_row: int | None,
    reader: RowReader,
    columns: frozenset[str],
) -> Iterator[Found]:
    """Yield the rows of a range, skipping whole row groups before and after it.

    Raises:
        WrongColumnsError: Columns that the reader needs are not there.
        UNREADABLE: The file is cut off or damaged.
    """
    with parquet.ParquetFile(path) as file:
        names = _wanted(file.schema_arrow, reader, columns)
        stop = file.metadata.num_rows if stop_row is None else stop_row
        groups, first, start = [], None, 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if end > start_row and start < stop:
                first = start if first is None else first
                groups.append(group)
            start = end
        if first is None:
            return
        batches = file.iter_batches(
            batch_size=ROWS_PER_BATCH, row_groups=groups, columns=names
        )
        yield from _in_range(batches, start_row - first, stop - first)


def read_arrow(
    path: Path,
    start_row: int,
    stop_row: int | None,
    reader: RowReader,
    columns: frozenset[str],
) -> Iterator[Found]:
    """Yield the rows of a range of an Arrow file or stream.

    Raises:
        WrongColumnsError: Columns that the reader needs are not there.
        UNREADABLE: The file is cut off or damaged.
    """
    with _open_arrow(path) as opened:
        names = _wanted(opened.schema, reader, columns)
    with _open_arrow(path, names) as opened:
        yield from _in_range(_arrow_batches(opened), start_row, stop_row)


@contextmanager
def _open_arrow(path: Path, names: list[str] | None = None) -> Iterator[Any]:
    """Open a file of either kind for some of its columns; None for all."""
    # No memory map: a file that is cut while it is read would end the process.
    with pyarrow.OSFile(str(path)) as source:
        is_file = source.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        source.seek(0)
        open_source = ipc.open_file if is_file else ipc.open_stream
        if names is None:
            yield open_source(source)
            return
        schema = open_source(source).schema
        source.seek(0)
        tops = {name if name in schema.names else name.split(".")[0] for name in names}
        fields = sorted(map(schema.get_field_index, tops))
        options = ipc.IpcReadOptions(included_fields=fields)
        yield open_source(source, options=options)


def _arrow_batches(opened: Any) -> Iterator[Any]:
    if isinstance(opened, ipc.RecordBatchFileReader):
        batches = map(opened.get_batch, range(opened.num_record_batches))
    else:
        batches = iter(opened)
    for batch in batches:
        _check_places(batch)
        yield batch


def _wanted(schema: Any, reader: RowReader, columns: frozenset[str]) -> list[str]:
    """Return the columns to read.

    Raises:
        WrongColumnsError: One is not there, twice there, or of another kind.
    """
    names = schema.names
    for name in sorted(reader.required):
        if name not in names:
            what = f"has no column '{name}', only {', '.join(names)}"
            raise WrongColumnsError(what)
    # A column may be missing where only some files of a source have it.
    present = {one for one in reader.optional | columns if has_column(schema, one)}
    wanted = sorted(reader.required | present)
    for name in wanted:
        if names.count(name) > 1:
            raise WrongColumnsError(f"has two columns '{name}'")
    for name in sorted(reader.strings):
        kind = schema.field(name).type
        plain = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_string(plain) or types.is_large_string(plain)):
            raise WrongColumnsError(f"column '{name}' must hold strings, got {kind}")
    for name in sorted(reader.lists):
        kind = schema.field(name).type
        is_list = types.is_list(kind) or types.is_large_list(kind)
        # Objects in a list may be stored as an object of lists.
        if not (is_list or types.is_struct(kind)):
            raise WrongColumnsError(f"column '{name}' must hold lists, got {kind}")
    return wanted


def _in_range(
    batches: Iterator[Any], start_row: int, stop_row: int | None
) -> Iterator[Found]:
    """Yield the rows of a range, counted from the first batch."""
    place = 0
    for batch in batches:
        if stop_row is not None and place >= stop_row:
            return
        start = max(0, start_row - place)
        stop = batch.num_rows if stop_row is None else stop_row - place
        for first in range(start, min(stop, batch.num_rows), ROWS_PER_BATCH):
            count = min(ROWS_PER_BATCH, stop - first)
            yield from _rows(batch.slice(first, count))
        place += batch.num_rows


def _rows(batch: Any) -> list[Found]:
    try:
        return list(batch.to_pylist())
    except _BAD_VALUES:
        return [_row(batch.slice(index, 1)) for index in range(batch.num_rows)]


def _row(row: Any) -> Found:
    """Return a single row, or say which column of it is bad."""
    found = {}
    for name in row.schema.names:
        try:
            [found[name]] = row.column(name).to_pylist()
        except UnicodeDecodeError as error:
            return f"'{name}' {describe_bad_utf8(error)}"
        except _BAD_VALUES as error:
            return f"'{name}' can't be read: {first_line(error)}"
    return found


def _check_places(batch: Any) -> None:
    """Check that no value is told to lie outside of the batch, whatever bytes it has.

    Raises:
        UNREADABLE: One is.
    """
    for column in batch.columns:
        # Some kinds have no other view; then their texts are checked as well.
        with suppress(pyarrow.ArrowException):
            column = column.view(_as_bytes(column.type))
        column.validate(full=True)


def _as_bytes(kind: Any) -> Any:
    """Return a type with bytes in place of strings."""
    if types.is_string(kind):
        return pyarrow.binary()
    if types.is_large_string(kind):
        return pyarrow.large_binary()
    if types.is_list(kind):
        return pyarrow.list_(_as_bytes(kind.value_type))
    if types.is_large_list(kind):
        return pyarrow.large_list(_as_bytes(kind.value_type))
    if types.is_struct(kind):
        return pyarrow.struct([one.with_type(_as_bytes(one.type)) for one in kind])
    return kind


def first_line(error: Exception) -> str:
    """Return the first line of a message, or the name of an error without one."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
