"""How often each value of a field comes up, and which come up most.

Values are texts, truths and whole numbers; what else a field may hold (nothing, a list,
an object, a number with a fraction) names no kind of documents and is no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from specs.base import Value
from specs.quantities import MAX_COUNT

Scalar = str | bool | int

MAX_VALUES = 100_000
"""Different values of a field; with more, it tells documents apart, not kinds."""
MAX_VALUE_CHARS = 1000


class ValueCount(Value):
    """One value, and how many documents have it."""

    value: Scalar
    documents: int


class Choice(Value):
    """What one filter `top_values` keeps."""

    choice: int = 1
    """Version of this document."""
    field: str
    num_values: int
    """Different values that were counted."""
    documents: int
    """Documents that came to the filter."""
    without: int
    """Of them, those without a value."""
    values: tuple[ValueCount, ...]
    """The most frequent first."""

    @property
    def kept(self) -> int:
        """Documents with one of the values."""
        return sum(one.documents for one in self.values)


def text_of(value: Any) -> str | None:
    """Return the JSON of a value, or None of what is no value.

    >>> text_of("c#"), text_of(3.0), text_of(True), text_of(0.5), text_of(["a"])
    ('"c#"', '3', 'true', None, None)
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= MAX_COUNT else None
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None  # Half of a surrogate pair, which no file can hold.
    return json.dumps(value, ensure_ascii=False)


def most_frequent(counts: Mapping[str, int], num_values: int) -> tuple[ValueCount, ...]:
    """Return the values that most documents have; ties go to the first by name.

    Args:
        counts: JSON of a value, as `text_of` writes it -> documents.
        num_values: How many.

    >>> found = most_frequent({'"b"': 2, '"a"': 2, '"c"': 3, '"d"': 1}, 2)
    >>> [(one.value, one.documents) for one in found]
    [('c', 3), ('a', 2)]
    """

    def rank(text: str) -> tuple[int, str, str]:
        value = json.loads(text)
        return -counts[text], value if isinstance(value, str) else text, text

    return tuple(
        ValueCount(value=json.loads(text), documents=counts[text])
        for text in sorted(counts, key=rank)[:num_values]
    )
