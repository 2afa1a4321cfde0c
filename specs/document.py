"""Plain values with the file and line of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specs.errors import Problem
from specs.rules import Place, dotted


@dataclass(frozen=True)
class Mark:
    """Where a value stands."""

    file: str
    line: int


@dataclass(frozen=True)
class Document:
    """Plain values and where each of them stands."""

    value: dict[str, Any]
    marks: dict[Place, Mark]
    origins: Mapping[Place, Place] = field(default_factory=dict)
    """Place of what is written out -> where the file says it."""

    def written(self, place: Place) -> Place:
        """Return where the file says what stands at a place."""
        for depth in range(len(place), 0, -1):
            if place[:depth] in self.origins:
                return (*self.origins[place[:depth]], *place[depth:])
        return place

    def mark_at(self, place: Place) -> Mark:
        """Return the mark of a place, or of the nearest one above it."""
        place = self.written(place)
        while place not in self.marks:
            place = place[:-1]
        return self.marks[place]

    def problem(self, place: Place, what: str, fix: str | None = None) -> Problem:
        """Build a problem with the line of a place."""
        place = self.written(place)
        mark = self.mark_at(place)
        return Problem(
            file=mark.file, line=mark.line, path=dotted(place), what=what, fix=fix
        )

    def without(self, key: str) -> Document:
        """Return the document without one of its top-level keys."""
        value = {name: self.value[name] for name in self.value if name != key}
        return replace(self, value=value)
