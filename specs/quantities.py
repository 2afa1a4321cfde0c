"""Numbers and names as people write them in a spec: `200B`, `0.1%`, `data/*.txt`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from specs.locations import parse_remote
from specs.rules import Broken, BrokenRules, broken, raise_broken, shown

MAX_COUNT = 2**53 - 1
"""The largest whole number that every JSON reader keeps."""

_SCALE = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMBT]?)")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")


def parse_count(value: Any) -> int:
    """Read a count, exactly.

    >>> parse_count("1.5B"), parse_count(4096)
    (1500000000, 4096)
    """
    if type(value) is int:
        return value
    fix = "write it like 4096, 10M or 1.5B (K, M, B, T are powers of 1000)"
    meant = value.upper().replace("_", "") if isinstance(value, str) else ""
    if _COUNT.fullmatch(meant) and len(meant) <= 30:
        fix = f"did you mean {meant}?"
    match = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None or len(match[0]) > 30:
        raise broken(f"must be a count such as 4096 or 10M, got {shown(value)}", fix)
    count = Fraction(match[1]) * _SCALE[match[2]]
    if count.denominator != 1:
        what = f"must come to a whole number, got {shown(value)}"
        raise broken(what, "use a smaller unit, or none")
    return int(count)


def parse_share(value: Any) -> float:
    """Read a share of a whole: `0.1%` or a number from 0 to 1.

    >>> parse_share("0.1%"), parse_share(0.25)
    (0.001, 0.25)
    """
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is not None and len(match[0]) <= 30:
        return float(Fraction(match[1]) / 100)
    if type(value) in (int, float):
        return float(value)
    raise broken(
        f"must be a share such as 0.1% or 0.001, got {shown(value)}",
        "write a percentage, or a number from 0 to 1",
    )


def check_location(value: str) -> str:
    """Refuse a path that leaves the workspace, and an address of no known kind.

    >>> check_location("data/*.jsonl.zst"), check_location("https://example.org/a.txt")
    ('data/*.jsonl.zst', 'https://example.org/a.txt')
    """
    fix = "put the data inside the workspace and name it from its top folder"
    if any(character < " " for character in value):
        raise broken("must not hold control characters", "delete them")
    match = _SCHEME.fullmatch(value)
    if match is not None:
        if match[1].lower() == "file":
            raise broken(f"must not be a file:// address, got {shown(value)}", fix)
        if not match[2].strip("/"):
            raise broken(f"must name what is there, got {shown(value)}", "complete it")
        parse_remote(value)
        return value
    if "\\" in value:
        what = f"must use forward slashes, got {shown(value)}"
        raise broken(what, "write / for every \\")
    if value.startswith(("/", "~")):
        raise broken(f"must be relative to the workspace, got {shown(value)}", fix)
    if posixpath.normpath(value).split("/")[0] == "..":
        raise broken(f"must stay inside the workspace, got {shown(value)}", fix)
    return value


Count = Annotated[
    int,
    Field(gt=0, le=MAX_COUNT),
    BeforeValidator(parse_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0, "maximum": MAX_COUNT},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[KMBT]?$"},
            ]
        }
    ),
]
"""A count as `200B`, `1.5M` or `4096`; K, M, B, T are powers of 1000."""

Whole = Annotated[int, Field(gt=0, le=MAX_COUNT)]
"""A whole number above zero."""

Share = Annotated[
    float,
    Field(ge=0, lt=1),
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"},
            ]
        }
    ),
]
"""A share of a whole, below all of it, as `0.1%` or `0.001`."""

ShareAboveZero = Annotated[
    float,
    Field(gt=0, lt=1),
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"},
            ]
        }
    ),
]
"""A share of a whole that is some of it."""


def check_locations(value: Any) -> Any:
    """Check one location, or each of a list.

    >>> check_locations("data/a.txt"), check_locations(["data/a.txt", "data/b/*.txt"])
    ('data/a.txt', ('data/a.txt', 'data/b/*.txt'))
    """
    if isinstance(value, str):
        if not value:
            raise broken("must not be empty", "write something")
        return check_location(value)
    if not isinstance(value, (list, tuple)):
        what = f"must be a location, or a list of them, got {shown(value)}"
        raise broken(what, "write for instance data/*.jsonl")
    rules = [] if value else [Broken("must hold at least one", "add one")]
    for index, one in enumerate(value):
        if not isinstance(one, str) or not one:
            what = f"must be a location, got {shown(one)}"
            rules.append(Broken(what, "write for instance data/*.jsonl", (index,)))
            continue
        if one in value[:index]:
            rules.append(Broken(f"is repeated: {one}", "delete it", (index,)))
        try:
            check_location(one)
        except BrokenRules as error:
            rules += [replace(rule, place=(index,)) for rule in error.broken]
    raise_broken(rules)
    return tuple(value)


Location = Annotated[str, Field(min_length=1), AfterValidator(check_location)]
"""A path relative to the workspace, or an address with a scheme."""

Locations = Annotated[
    str | tuple[str, ...],
    BeforeValidator(check_locations),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "uniqueItems": True,
                },
            ]
        }
    ),
]
"""A location, or a list of them."""


def check_rule_version(value: Any) -> Any:
    """Refuse `true`, which Python takes for a 1."""
    if isinstance(value, bool):
        raise broken(f"must be 1, got {shown(value)}", "write a number")
    return value


RuleVersion = Annotated[Literal[1], BeforeValidator(check_rule_version)]
"""Version of a rule: another rule will be another version."""
