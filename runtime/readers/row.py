"""What a reader of rows is, and how it looks into a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""Column or key -> value, as JSON has it; a column that a file lacks is missing."""


class WrongRowError(Exception):
    """A row from which no text can be made; its message says why."""


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Which columns a text is made of, and how."""

    text: Callable[[Row], str]
    """Raises `WrongRowError` for a row that holds no document."""
    strings: frozenset[str] = frozenset()
    """Columns of strings that must be there."""
    lists: frozenset[str] = frozenset()
    """Columns of lists that must be there."""
    optional: frozenset[str] = frozenset()
    """Columns that are used where they are there."""

    @property
    def required(self) -> frozenset[str]:
        """Columns without which there is no text."""
        return self.strings | self.lists


def field_reader(field: str) -> RowReader:
    """Return the reader of one column or key, as it is."""
    return RowReader(text=lambda row: string_at(row, field), strings=frozenset({field}))


def string_at(row: Row, name: str) -> str:
    """Return a string that must be there.

    Raises:
        WrongRowError: It is something else, or not there.
    """
    if name not in row:
        raise WrongRowError(f"has no field '{name}'")
    value = row[name]
    if not isinstance(value, str):
        raise WrongRowError(f"'{name}' must be a string, got {json_name(value)}")
    return value


def text_at(row: Row, name: str) -> str:
    """Return a string that may be missing or null; then it is empty.

    Raises:
        WrongRowError: It is something else.
    """
    return "" if row.get(name) is None else string_at(row, name)


def list_at(row: Row, name: str) -> list[Any]:
    """Return a list that must be there.

    Raises:
        WrongRowError: It is something else, or not there.
    """
    if name not in row:
        raise WrongRowError(f"has no field '{name}'")
    value = row[name]
    if not isinstance(value, list):
        raise WrongRowError(f"'{name}' must be a list, got {json_name(value)}")
    return value


def objects_at(row: Row, name: str) -> list[dict[str, Any]]:
    """Return a list of objects that must be there.

    Some files hold an object of lists in its place, one list for each key.

    Raises:
        WrongRowError: It is something else, or not there.
    """
    if isinstance(row.get(name), dict):
        return _turned(row[name], name)
    found = list_at(row, name)
    for index, value in enumerate(found):
        if not isinstance(value, dict):
            what = f"'{name}.{index}' must be an object, got {json_name(value)}"
            raise WrongRowError(what)
    return found


def _turned(lists: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects that are stored as an object of lists."""
    columns = [list_at(lists, key) for key in lists]
    if len({len(column) for column in columns}) > 1:
        raise WrongRowError(f"'{name}' must hold lists of one length")
    return [
        dict(zip(lists, values, strict=True)) for values in zip(*columns, strict=True)
    ]


def json_name(value: Any) -> str:
    """Name the kind of a value as JSON calls it.

    >>> json_name(None), json_name(True), json_name([1]), json_name(1.5)
    ('null', 'a boolean', 'a list', 'a number')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    for kind, name in ((str, "a string"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "a number"


def whole_lines(text: str) -> str:
    r"""Return a text whose last line is ended, if there is any.

    >>> whole_lines("a\nb"), whole_lines("a\n"), whole_lines("")
    ('a\nb\n', 'a\n', '')
    """
    return text if not text or text.endswith("\n") else f"{text}\n"
