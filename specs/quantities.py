"""Numbers with units as people write them in a spec: `200B`, `0.1%`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_SCALE = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_TOKENS = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([KMBT]?)$")
_PERCENT = re.compile(r"^([0-9]+(?:\.[0-9]+)?)%$")


def parse_count(value: Any) -> int:
    """Read a count of tokens, exactly.

    >>> parse_count("1.5B"), parse_count(4096)
    (1500000000, 4096)
    """
    if isinstance(value, bool):
        raise ValueError("must be a number of tokens such as 10M, got a boolean")
    if isinstance(value, int):
        return value
    match = _TOKENS.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"must be an integer or a number with K, M, B or T, got {value!r}"
        )
    count = Fraction(match[1]) * _SCALE[match[2]]
    if count.denominator != 1:
        raise ValueError(f"must be a whole number of tokens, got {value!r}")
    return int(count)


def parse_share(value: Any) -> float:
    """Read a share of a whole: `0.1%` or a number from 0 to 1.

    >>> parse_share("0.1%"), parse_share(0.25)
    (0.001, 0.25)
    """
    if isinstance(value, str):
        match = _PERCENT.match(value)
        if match is None:
            raise ValueError(f"must be a percentage such as 0.1%, got {value!r}")
        return float(Fraction(match[1]) / 100)
    if isinstance(value, bool):
        raise ValueError("must be a share such as 0.1%, got a boolean")
    return value  # type: ignore[no-any-return]


Count = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(parse_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[KMBT]?$"},
            ]
        }
    ),
]
"""A count as `200B`, `1.5M` or `4096`, in thousands of thousands, not of 1024."""

Share = Annotated[
    float,
    Field(ge=0, le=1),
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"},
            ]
        }
    ),
]
"""A share of a whole, as `0.1%` or `0.001`."""
