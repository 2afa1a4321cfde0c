"""Readers of rows: what of a row is the text of a document."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from runtime.readers.commit import commit_reader
from runtime.readers.issue import issue_reader
from runtime.readers.notebook import notebook_reader
from runtime.readers.row import RowReader, field_reader
from runtime.readers.thread import thread_reader
from specs.readers import CommitReader, NotebookReader, Reader, ThreadReader

_READER: TypeAdapter[Reader] = TypeAdapter(Reader)


def build_reader(declared: str | None, field: str, file_format: str) -> RowReader:
    """Build the reader of a source's files of one format.

    Args:
        declared: Canonical JSON of the reader, as in `PlannedSource`.
        field: The column or key of a text.
        file_format: How the files are read.
    """
    if declared is not None:
        reader = _READER.validate_python(json.loads(declared))
    elif file_format == "notebook":
        reader = NotebookReader(kind="notebook")
    else:
        return field_reader(field)
    if isinstance(reader, CommitReader):
        return commit_reader(reader)
    if isinstance(reader, NotebookReader):
        return notebook_reader(reader, field)
    if isinstance(reader, ThreadReader):
        return thread_reader(reader)
    return issue_reader(reader)
