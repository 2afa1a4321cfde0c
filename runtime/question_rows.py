"""The rows of a benchmark's file: its questions, read whole and checked.

The pin of a benchmark is the digest of what is read, not of the file, so that the same
questions in JSONL, parquet or Arrow have one pin. Only the fields that a task declares
are read; what else a publisher adds does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.line_streams import UNREADABLE, open_lines, read_lines
from specs.canonical import canonical_json
from specs.errors import InputError, Problem
from specs.task import TaskData

Row = Mapping[str, Any]

MAX_PROBLEMS = 20
"""Bad rows that are shown; a file of another kind would fill the screen."""

LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
TABLE_SUFFIXES = (".parquet", ".arrow")
QUESTION_SUFFIXES = (*LINE_SUFFIXES, *TABLE_SUFFIXES)
"""Names that say how the rows of a file are read."""


def read_rows(path: Path, data: TaskData) -> list[Row]:
    """Read the questions of a benchmark and check them against their pin.

    Args:
        path: The file.
        data: What is declared of it.

    Returns:
        Each row's declared fields, in the order of the file.

    Raises:
        InputError: With the rows that can't be read; or there are none, or they are not
            what is pinned.
    """
    rows = _checked(_raw_rows(path, data.file), data)
    if not rows:
        raise InputError("there is no question in it", file=data.file)
    _check_pin(rows, data)
    return rows


def rows_digest(rows: Sequence[Row]) -> str:
    """SHA-256 over the canonical JSON of each row, with a newline after each.

    >>> rows_digest([{"b": 1, "a": 2}]) == rows_digest([{"a": 2, "b": 1}])
    True
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row) + b"\n")
    return digest.hexdigest()


def _check_pin(rows: Sequence[Row], data: TaskData) -> None:
    problems = []
    if data.rows is not None and len(rows) != data.rows:
        what = f"has {len(rows):,} rows, the task declares {data.rows:,}"
        problems.append(Problem(file=data.file, path="data.rows", what=what))
    found = rows_digest(rows)
    if data.sha256 not in (None, found):
        what = f"the digest of its rows is {found}, the task declares {data.sha256}"
        where = f" from {data.published}" if data.published else ""
        fix = f"get the questions that were declared{where}; or, if these are meant, "
        fix += "declare their digest and raise the task's version"
        problems.append(Problem(file=data.file, path="data.sha256", what=what, fix=fix))
    if problems:
        raise InputError(problems)


def _checked(rows: Iterator[tuple[int, Any]], data: TaskData) -> list[Row]:
    found: list[Row] = []
    problems: list[Problem] = []
    for number, row in rows:
        what = _wrong(row, data.fields)
        if what is None:
            found.append({name: row[name] for name in data.fields})
        else:
            problems.append(Problem(file=data.file, line=number, what=what))
        if len(problems) == MAX_PROBLEMS:
            break
    if problems:
        raise InputError(problems)
    return found


def _wrong(row: Any, fields: Sequence[str]) -> str | None:
    """Say why a row can't be used; None if it can."""
    if isinstance(row, Exception):
        return f"can't be read: {row}"
    if not isinstance(row, dict):
        return "must be a JSON object"
    missing = [name for name in fields if name not in row]
    if missing:
        return f"has no field {missing[0]!r}, only {', '.join(sorted(row))}"
    try:
        canonical_json({name: row[name] for name in fields})
    except (ValueError, TypeError) as error:
        return f"holds what JSON can't: {error}"
    return None


def _raw_rows(path: Path, name: str) -> Iterator[tuple[int, Any]]:
    """Yield line or row number and the row, or an exception in its place."""
    suffixes = path.name.lower()
    if suffixes.endswith(LINE_SUFFIXES):
        return _json_rows(path)
    if suffixes.endswith(TABLE_SUFFIXES):
        return _table_rows(path)
    raise InputError(
        "nothing says how to read it",
        file=name,
        fix="questions are .jsonl, .jsonl.gz, .jsonl.zst, .parquet or .arrow files",
    )


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        with open_lines(path) as stream:
            for number, line in enumerate(read_lines(stream), 1):
                if line is None:
                    yield number, ValueError("longer than a line may be")
                elif line.strip():
                    yield number, _parsed(line)
    except (*UNREADABLE, OSError) as error:
        yield number + 1, error


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return error


def _table_rows(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow
    import pyarrow.ipc as ipc
    import pyarrow.parquet as parquet

    try:
        if path.name.lower().endswith(".parquet"):
            table = parquet.read_table(path)
        else:
            with pyarrow.memory_map(str(path)) as stream:
                table = ipc.open_stream(stream).read_all()
        rows = table.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        yield 1, error
        return
    yield from enumerate(rows, 1)
