"""Fields within fields: `meta.set_name` is the key `set_name` of what `meta` holds.

A field whose own name holds the dot is meant before one that is nested.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

NESTED_VERSION = 1
"""Part of a store's identity where a field's name holds a dot: before, such a name
meant a field at the top alone."""


def pick_fields(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the fields of a row that are there, by the names they are asked for.

    >>> row = {"n": 1, "meta": {"set": {"name": "a"}}, "x.y": 2, "x": {"y": 3}}
    >>> pick_fields(row, ["n", "meta.set.name", "meta.no", "n.no", "x.y"])
    {'n': 1, 'meta.set.name': 'a', 'x.y': 2}
    """
    found = {}
    for name in names:
        place, key = _holder_of(row, name)
        if place is not None:
            found[name] = place[key]
    return found


def has_column(schema: Any, name: str) -> bool:
    """Tell whether an Arrow schema has a column, or a field of a struct, of a name."""
    import pyarrow.types

    if name in schema.names:
        return True
    first, *others = name.split(".")
    kind = schema.field(first).type if schema.names.count(first) == 1 else None
    for other in others:
        if kind is None or not pyarrow.types.is_struct(kind):
            return False
        index = kind.get_field_index(other)
        kind = kind.field(index).type if index >= 0 else None
    return kind is not None


def _holder_of(
    row: Mapping[str, Any], name: str
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the mapping that a field is a key of, and that key; None without one."""
    if name in row:
        return row, name
    *parents, key = name.split(".")
    place: Any = row
    for parent in parents:
        place = place.get(parent) if isinstance(place, Mapping) else None
    return (place, key) if isinstance(place, Mapping) and key in place else (None, key)
