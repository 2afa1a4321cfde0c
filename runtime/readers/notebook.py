"""Notebooks as the Markdown that they show: prose as it is, code and outputs fenced.

A notebook is JSON of version 2, 3 or 4 of its format (nbformat), or was parsed by
others into a column of cells: in groups of one kind, with the output of each cell, as
in the parsed notebooks of The Stack, or as a list of cells and one of their types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from runtime.readers.row import (
    Row,
    RowReader,
    WrongRowError,
    json_name,
    list_at,
    string_at,
)
from specs.readers import NotebookReader

NO_OUTPUT = "_____no_output_____"
"""What the parsed notebooks of The Stack write for a cell without output."""

BACKTICKS = re.compile(r"`{3,}")
OUTPUT = "output"
"""Stands behind the fence of an output, where the language of code stands."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell, whichever way it came."""

    is_code: bool
    source: str
    output: str = ""


def notebook_reader(reader: NotebookReader, field: str) -> RowReader:
    """Build the reader.

    Args:
        reader: What is asked for.
        field: Column or key of the JSON.
    """
    if reader.rows == "ipynb":
        return RowReader(
            text=lambda row: _from_json(string_at(row, field), reader),
            strings=frozenset({field}),
        )
    return RowReader(
        text=lambda row: _markdown(_parsed_cells(row), "", reader),
        lists=frozenset({"cells"}),
        optional=frozenset({"cell_types", "types"}),
    )


def _from_json(text: str, reader: NotebookReader) -> str:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongRowError(f"is no notebook: not JSON: {error}") from None
    if not isinstance(notebook, dict):
        what = f"must be an object, got {json_name(notebook)}"
        raise WrongRowError(f"is no notebook: {what}")
    cells = _json_cells(notebook)
    language = _language(notebook, cells)
    return _markdown(map(_cell, cells), language, reader)


def _json_cells(notebook: Row) -> list[dict[str, Any]]:
    """Return the cells; before version 4 they are on work sheets."""
    sheets = notebook.get("worksheets")
    holders = sheets if isinstance(sheets, list) and sheets else [notebook]
    cells = []
    for holder in holders:
        found = holder.get("cells") if isinstance(holder, dict) else None
        if not isinstance(found, list) or not all(isinstance(c, dict) for c in found):
            raise WrongRowError("is no notebook: 'cells' must be a list of objects")
        cells += found
    return cells


def _language(notebook: Row, cells: list[dict[str, Any]]) -> str:
    """Return the language of the code, or nothing where the notebook doesn't say."""
    metadata = notebook.get("metadata")
    found: list[Any] = []
    if isinstance(metadata, dict):
        places = (("language_info", "name"), ("kernelspec", "language"))
        for outer, inner in places:
            value = metadata.get(outer)
            found.append(value.get(inner) if isinstance(value, dict) else None)
    found += [cell.get("language") for cell in cells]
    names = (name for name in found if isinstance(name, str) and name.isprintable())
    return next((name.strip().lower() for name in names if "`" not in name), "")


def _cell(cell: Row) -> _Cell:
    kind = cell.get("cell_type")
    if kind == "code":
        source = _joined(cell.get("source", cell.get("input")))
        return _Cell(True, source, _output_of(cell.get("outputs")))
    source = _joined(cell.get("source"))
    if kind == "heading":
        level = cell.get("level")
        marks = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1)
        return _Cell(False, f"{marks} {source}")
    # A raw cell is for a converter, and shown to nobody.
    return _Cell(False, source if kind in ("markdown", "html") else "")


def _joined(value: Any) -> str:
    """Return a text that may be cut into lines."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    raise WrongRowError(
        f"is no notebook: a text of a cell must be a string or a list of strings, "
        f"got {json_name(value)}"
    )


def _output_of(outputs: Any) -> str:
    """Return the outputs of a cell that are text; pictures and pages are not."""
    texts = []
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            raise WrongRowError("is no notebook: an output must be an object")
        if output.get("output_type") in ("error", "pyerr"):
            name, value = _joined(output.get("ename")), _joined(output.get("evalue"))
            texts.append(f"{name}: {value}\n")
            continue
        data = output.get("data")
        shown = data.get("text/plain") if isinstance(data, dict) else None
        texts.append(_joined(output.get("text", shown)))
        if texts[-1] and not texts[-1].endswith("\n"):
            texts[-1] += "\n"
    return "".join(texts)


def _parsed_cells(row: Row) -> Iterator[_Cell]:
    cells = list_at(row, "cells")
    name = "cell_types" if row.get("cell_types") is not None else "types"
    kinds = list_at(row, name)
    if len(kinds) != len(cells):
        what = f"'{name}' has {len(kinds)} items, 'cells' has {len(cells)}"
        raise WrongRowError(what)
    for kind, group in zip(kinds, cells, strict=True):
        for cell in group if isinstance(group, list) else [group]:
            parts = cell if isinstance(cell, list) else [cell]
            if not parts or not all(isinstance(part, str) for part in parts):
                raise WrongRowError("a cell of 'cells' must be a string, or a list of")
            output = parts[1] if len(parts) > 1 and parts[1] != NO_OUTPUT else ""
            if kind in ("code", "markdown"):
                yield _Cell(kind == "code", parts[0], output)


def _markdown(cells: Iterable[_Cell], language: str, reader: NotebookReader) -> str:
    parts = []
    for cell in cells:
        # Lines around a cell are no part of it; blanks that indent its first line are.
        source = cell.source.strip("\r\n").rstrip()
        if source.strip():
            parts.append(_fenced(source, language) if cell.is_code else source)
        output = cell.output[: reader.max_output_chars].strip("\r\n").rstrip()
        if cell.is_code and output:
            parts.append(_fenced(output, OUTPUT))
    return "".join(f"{part}\n\n" for part in parts).removesuffix("\n")


def _fenced(text: str, info: str) -> str:
    """Put a text between fences that are longer than any in it."""
    longest = max((len(run) for run in BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"
