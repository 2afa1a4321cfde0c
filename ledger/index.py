"""A fast derived copy of the ledger: a row per document, kept in a file of SQLite.

    .codemix/ledger-index.sqlite    rows, and the specs that they name

It saves reading the documents, which hold every installed distribution. It is never
evidence: what must be true reads entries. It belongs to the bytes of the log that it
was made from, is extended when the log has grown, and is made anew where anything about
it is not as it should be. Whatever goes wrong with it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ledger.log import LogLine, parse_lines, read_log
from ledger.rows import UNREADABLE, Row, read_row

Progress = Callable[[int, int], None]
"""Called with how many documents have been read, and how many are to be."""

_FORMAT = f"1:{','.join(Row._fields)}"
_TABLES = """
    CREATE TABLE stamp (format TEXT, bytes INTEGER, sha256 TEXT);
    CREATE TABLE rows (number INTEGER PRIMARY KEY, crc INTEGER, text TEXT);
    CREATE TABLE specs (key TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;
"""
_WAIT_SECONDS = 2.0


class _Stamp(NamedTuple):
    """The part of a log that rows belong to."""

    bytes: int
    sha256: str


class _Indexed(NamedTuple):
    """A row with the key of its spec; equal specs have one."""

    row: Row
    spec_key: str | None


class LedgerIndex:
    """The rows of one ledger, in order of arrival."""

    def __init__(
        self, folder: Path, indexed: Sequence[_Indexed], specs: Mapping[str, str]
    ) -> None:
        """See `read_index`."""
        self.rows = tuple(one.row for one in indexed)
        self._folder = folder
        self._keys = [one.spec_key for one in indexed]
        self._specs = dict(specs)

    def specs(self) -> list[dict[str, Any] | None]:
        """Return the resolved spec of each row; null of what is no run."""
        wanted = {key for key in self._keys if key is not None}
        if not wanted <= set(self._specs):
            self._specs |= _load_specs(index_path(self._folder))
        parsed = {
            key: json.loads(self._specs[key]) for key in wanted & set(self._specs)
        }
        return [
            self._spec(row, key, parsed)
            for row, key in zip(self.rows, self._keys, strict=True)
        ]

    def _spec(
        self, row: Row, key: str | None, parsed: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        if key is None or key in parsed:
            return None if key is None else parsed[key]
        # Another process made the index anew, or it is damaged.
        return read_row(self._folder, LogLine(*row[:4])).spec


def index_path(folder: Path) -> Path:
    """Where the index of the ledger in a folder is kept."""
    return folder.with_name(f"{folder.name}-index.sqlite")


def read_index(
    folder: Path, progress: Progress = lambda done, total: None
) -> LedgerIndex:
    """Return a row per line of the log, reading no more documents than it must.

    Args:
        folder: Of the ledger.
        progress: Told while documents are read.

    Raises:
        CheckFailed: A line of the log is not one that we wrote.
    """
    data = read_log(folder)
    path = index_path(folder)
    stamp, indexed = _load(path, data)
    # What could not be read may be there again.
    numbers = [at for at, one in enumerate(indexed) if one.row.result in UNREADABLE]
    lines = [LogLine(*indexed[at].row[:4]) for at in numbers]
    lines += parse_lines(data[stamp.bytes :].split(b"\n")[:-1], folder)
    numbers += range(len(indexed), len(indexed) + len(lines) - len(numbers))
    specs: dict[str, str] = {}
    changed: dict[int, _Indexed] = {}
    for done, (number, line) in enumerate(zip(numbers, lines, strict=True)):
        progress(done, len(lines))
        found = read_row(folder, line)
        one = _Indexed(found.row, _keep(specs, found.spec))
        if indexed[number : number + 1] != [one]:
            changed[number] = one
            indexed[number : number + 1] = [one]
    if changed:
        now = _Stamp(len(data), hashlib.sha256(data).hexdigest())
        _save(path, stamp, now, changed, specs)
    return LedgerIndex(folder, indexed, specs)


def _keep(specs: dict[str, str], spec: dict[str, Any] | None) -> str | None:
    if spec is None:
        return None
    text = json.dumps(spec, separators=(",", ":"))
    key = _sha256(text)
    specs[key] = text
    return key


def _load(path: Path, data: bytes) -> tuple[_Stamp, list[_Indexed]]:
    """Read the index, if all of it is whole and belongs to this log."""
    try:
        with closing(_connect(path, "ro")) as database:
            [(form, *of_log)] = database.execute("SELECT * FROM stamp")
            query = "SELECT number, crc, text FROM rows ORDER BY number"
            found = database.execute(query).fetchall()
        stamp = _Stamp(*of_log)
        if form == _FORMAT and _is_of(stamp, data) and _is_whole(stamp, data, found):
            values = json.loads(f"[{','.join(text for _, _, text in found)}]")
            return stamp, [_Indexed(Row(*row), key) for key, row in values]
    # A damaged file may hold anything.
    except (sqlite3.Error, ValueError, TypeError, AttributeError):
        pass
    return _Stamp(0, _sha256("")), []


def _is_of(stamp: _Stamp, data: bytes) -> bool:
    start = data[: int(stamp.bytes)]
    return hashlib.sha256(start).hexdigest() == stamp.sha256


def _is_whole(
    stamp: _Stamp, data: bytes, found: Sequence[tuple[int, int, str]]
) -> bool:
    num_lines = data.count(b"\n", 0, stamp.bytes)
    return [number for number, _, _ in found] == list(range(num_lines)) and all(
        zlib.crc32(text.encode()) == crc for _, crc, text in found
    )


def _load_specs(path: Path) -> dict[str, str]:
    try:
        with closing(_connect(path, "ro")) as database:
            found = database.execute("SELECT key, text FROM specs").fetchall()
    except sqlite3.Error:
        return {}
    return {key: text for key, text in found if _sha256(str(text)) == key}


def _save(
    path: Path,
    was: _Stamp,
    now: _Stamp,
    changed: Mapping[int, _Indexed],
    specs: Mapping[str, str],
) -> None:
    """Add what is new to the index, or make a new one; or leave it."""
    try:
        if was.bytes:
            _extend(path, was, now, changed, specs)
        else:
            _make(path, now, changed, specs)
    except (sqlite3.OperationalError, OSError):
        # Busy, read-only, full: the rows at hand are right without it.
        return
    except (sqlite3.DatabaseError, ValueError):
        with suppress(OSError):
            path.unlink()


def _extend(
    path: Path,
    was: _Stamp,
    now: _Stamp,
    changed: Mapping[int, _Indexed],
    specs: Mapping[str, str],
) -> None:
    with closing(_connect(path, "rw")) as database, database:
        database.execute("BEGIN IMMEDIATE")
        [kept] = database.execute("SELECT bytes, sha256 FROM stamp")
        # Another process may have been faster.
        if kept == was:
            _write(database, now, changed, specs)


def _make(
    path: Path, now: _Stamp, rows: Mapping[int, _Indexed], specs: Mapping[str, str]
) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    new.unlink(missing_ok=True)
    try:
        with closing(_connect(new, "rwc")) as database, database:
            database.executescript(_TABLES)
            database.execute("BEGIN")
            _write(database, now, rows, specs)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _write(
    database: sqlite3.Connection,
    stamp: _Stamp,
    changed: Mapping[int, _Indexed],
    specs: Mapping[str, str],
) -> None:
    rows = []
    for number, one in changed.items():
        text = json.dumps([one.spec_key, one.row], separators=(",", ":"))
        rows.append((number, zlib.crc32(text.encode()), text))
    database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
    database.executemany("INSERT OR REPLACE INTO specs VALUES (?, ?)", specs.items())
    database.execute("DELETE FROM stamp")
    database.execute("INSERT INTO stamp VALUES (?, ?, ?)", (_FORMAT, *stamp))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
