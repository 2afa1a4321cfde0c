"""Numbers by step, exact: the metrics and timings of a stage as one text object.

The first line is a header, every other one `[step,{"name":"value",...}]` in canonical
JSON with numbers as text (see `ledger.floats`). Equal metrics give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ledger.floats import float_texts
from specs.canonical import canonical_json
from specs.errors import CheckFailed

HEADER = b"codemix series 1\n"


class Point(NamedTuple):
    """The numbers of one step."""

    step: int
    values: Mapping[str, str]
    """Name -> number as text."""


class SeriesDifference(NamedTuple):
    """Where two series part."""

    step: int
    name: str
    was: str | None
    now: str | None


def encode_series(points: Iterable[tuple[int, Mapping[str, float]]]) -> bytes:
    """Write numbers by step as the bytes of a series."""
    lines = [HEADER]
    for step, values in points:
        lines.append(canonical_json([step, float_texts(values)]) + b"\n")
    return b"".join(lines)


def decode_series(data: bytes) -> Iterator[Point]:
    """Read a series point by point.

    Raises:
        CheckFailed: It is not a series.
    """
    header, *lines = data.splitlines(keepends=True)
    if header != HEADER:
        raise CheckFailed("not a metric series: it has another first line")
    for line in lines:
        step, values = json.loads(line)
        yield Point(step, values)


def first_point_difference(
    was: Mapping[str, str], now: Mapping[str, str], *, step: int
) -> SeriesDifference | None:
    """Compare the numbers of one step; null if they are the same."""
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            return SeriesDifference(step, name, was.get(name), now.get(name))
    return None
