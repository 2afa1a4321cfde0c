"""Commits: a file before, the message, the file after.

The shape is that of CommitPack and of the commits of The Stack: `old_contents`,
`new_contents`, `old_file`, `new_file`, `subject`, `message`. The order is that in which
StarCoder was trained, with words in place of its special pieces.
"""

from __future__ import annotations

from runtime.readers.row import Row, RowReader, string_at, text_at, whole_lines
from specs.readers import CommitReader


def commit_reader(reader: CommitReader) -> RowReader:
    """Build the reader."""

    def text(row: Row) -> str:
        before = whole_lines(string_at(row, "old_contents"))
        after = whole_lines(string_at(row, "new_contents"))
        message = string_at(row, reader.message).strip()
        name = _file_name(text_at(row, "old_file"), text_at(row, "new_file"))
        head = f"File: {name}\n" if name else ""
        return f"{head}Before:\n{before}Commit: {message}\nAfter:\n{after}"

    return RowReader(
        text=text,
        strings=frozenset({"old_contents", "new_contents", reader.message}),
        optional=frozenset({"old_file", "new_file"}),
    )


def _file_name(old: str, new: str) -> str:
    """Name the file, both its names if the commit renamed it."""
    return f"{old} -> {new}" if old and new and old != new else new or old
