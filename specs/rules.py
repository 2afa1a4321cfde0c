"""Broken rules: what the validators of the spec language raise.

pydantic adds the place of the model; a rule adds the way from there to the field and
the instruction that mends it. One error may carry several rules, so that everything
that is wrong is said at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Part = str | int
Place = tuple[Part, ...]
"""Keys and indexes from the top of a document down to a value."""

_SHOWN = 60
"""Characters of a value that a message shows."""


@dataclass(frozen=True)
class Broken:
    """One rule that does not hold."""

    what: str
    """The rule, with the value received."""

    fix: str | None = None
    """One instruction that mends it."""

    place: Place = ()
    """Where, counted from the value that is being validated."""


class BrokenRules(ValueError):
    """Rules that do not hold; a ValueError, so that pydantic collects it."""

    def __init__(self, broken: Sequence[Broken]):
        self.broken = tuple(broken)
        super().__init__("; ".join(rule.what for rule in self.broken))


def broken(what: str, fix: str | None = None, *place: Part) -> BrokenRules:
    """Build the error for a single rule."""
    return BrokenRules([Broken(what, fix, place)])


def raise_broken(rules: Sequence[Broken]) -> None:
    """Raise if any rule is broken.

    Raises:
        BrokenRules: With all of them.
    """
    if rules:
        raise BrokenRules(rules)


def dotted(place: Place) -> str:
    """Write a place the way messages show it.

    >>> dotted(("stages", 1, "mixture"))
    'stages.1.mixture'
    """
    return ".".join(str(part) for part in place)


def shown(value: Any) -> str:
    """Write a value as a message shows it: briefly.

    >>> shown("word"), shown(2.5), shown([1, 2]), shown(None)
    ("'word'", '2.5', 'a list', 'nothing')
    """
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
