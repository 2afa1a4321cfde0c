"""Recorded floats as text and back, without losing a bit.

Canonical JSON has no NaN, no infinity and no negative zero, and programs round when
they print. So a recorded number is text: the shortest decimal that reads back as the
same float64, or `nan`, `inf`, `-inf`. A journal line may hold finite numbers bare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


def float_text(value: float) -> str:
    """Write a float64 as text that reads back as the same bits (NaNs are all one).

    >>> float_text(0.1), float_text(-0.0), float_text(float("inf"))
    ('0.1', '-0.0', 'inf')
    """
    # float() first: the repr of a NumPy scalar names its type.
    return repr(float(value))


def float_texts(values: Mapping[str, float]) -> dict[str, str]:
    """Write every number of a mapping as text, see `float_text`."""
    return {name: float_text(value) for name, value in values.items()}


def bare_floats(values: Mapping[str, float]) -> dict[str, float | str]:
    """Prepare numbers for a journal line: finite ones bare, the others as text.

    >>> bare_floats({"loss": 2.5, "norm": float("nan")})
    {'loss': 2.5, 'norm': 'nan'}
    """
    return {
        name: float(value) if math.isfinite(value) else repr(float(value))
        for name, value in values.items()
    }


def is_same_float(left: float, right: float) -> bool:
    """Whether two numbers would be recorded as the same text."""
    return float_text(left) == float_text(right)
