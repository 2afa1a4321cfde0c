"""Conditions on entries, such as `heldout/text.loss < 4.5`: parsed, never evaluated.

    CONDITION = COLUMN OPERATOR VALUE
    OPERATOR  = "<" | "<=" | "=" | "!=" | ">=" | ">"
    VALUE     = number | word | "text in quotes" | true | false | null

Numbers compare as numbers, exactly: what is recorded is a float64 or a whole number,
and so is what is typed. An entry that has no such value satisfies nothing but `= null`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import NamedTuple, TypeGuard

from specs.errors import InputError

Cell = int | float | str | bool | None
"""One value of an entry."""

_CONDITION = re.compile(
    r"\s*(?P<column>[^\s<>=!]+)\s*(?P<operator><=|>=|!=|==|<|>|=)\s*(?P<value>.*\S)\s*",
    re.DOTALL,
)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: dict[str, Cell] = {"true": True, "false": False, "null": None}
_EXAMPLE = "--where 'heldout/text.loss < 4.5' or --where 'spec.seed = 17'"


class Condition(NamedTuple):
    """What one value of an entry must be."""

    column: str
    operator: str
    value: Cell

    def is_met_by(self, cell: Cell) -> bool:
        """Whether a value is as it must be."""
        order = _ORDER.get(self.operator)
        if order is not None:
            return is_number(cell) and is_number(self.value) and order(cell, self.value)
        if cell is None and self.value is not None:
            return False
        return _is_equal(cell, self.value) == (self.operator == "=")


def parse_condition(text: str) -> Condition:
    """Parse one condition.

    Raises:
        InputError: It is none; says why.

    >>> parse_condition("heldout/text.loss<4.5")
    Condition(column='heldout/text.loss', operator='<', value=4.5)
    >>> parse_condition("name = 'a b'").value
    'a b'
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise InputError(
            f"not a condition: {text!r}; it is a column, one of < <= = != >= >, and "
            "a value",
            fix=_EXAMPLE,
        )
    sign = found["operator"].replace("==", "=")
    value = _parse_value(found["value"])
    if sign in _ORDER and not is_number(value):
        raise InputError(
            f"not a condition: {text!r}; only a number is more or less than another",
            fix="write a number, or use = or !=",
        )
    return Condition(found["column"], sign, value)


def is_number(cell: Cell) -> TypeGuard[int | float]:
    """Whether a value is a number; truth values are none."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def number_of(text: str) -> int | float | None:
    """Read a number as people and programs write it; null if it is none.

    >>> number_of("17"), number_of("1e-3"), number_of("1_000"), number_of("17b")
    (17, 0.001, 1000, None)
    """
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _parse_value(text: str) -> Cell:
    if text[0] in "'\"":
        return _quoted(text)
    if text in _WORDS:
        return _WORDS[text]
    number = number_of(text)
    if number is not None:
        return number
    if re.search(r"[<>=!'\"]", text):
        raise InputError(
            f"not a value: {text!r}", fix="put a text with signs in it in quotes"
        )
    return text


def _quoted(text: str) -> str:
    if len(text) < 2 or text[-1] != text[0]:
        raise InputError(f"not a value: {text!r}", fix=f"end it with {text[0]}")
    inner = text[1:-1]
    if text[0] in inner:
        raise InputError(
            f"not a value: {text!r}", fix="use the other kind of quotes around it"
        )
    return inner


def _is_equal(cell: Cell, value: Cell) -> bool:
    if is_number(cell) and is_number(value):
        # Not one NaN equals another; who asks for them wants them all.
        return cell == value or (_is_nan(cell) and _is_nan(value))
    if isinstance(cell, str) and is_number(value):
        # A name may look like a number.
        return number_of(cell) == value
    return type(cell) is type(value) and cell == value


def _is_nan(cell: Cell) -> bool:
    return isinstance(cell, float) and math.isnan(cell)
