"""The numbers that evaluations add to the rows of a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.rows import Row


class Later(NamedTuple):
    """What evaluations say of some weights."""

    number: int
    """Of evaluations."""
    scores: dict[str, str]
    """`task/metric` -> number as text, the last of each."""


NO_LATER = Later(0, {})


def later_by_weights(rows: Iterable[Row]) -> dict[str, Later]:
    """Join the evaluations of the same weights.

    Args:
        rows: Of the whole ledger, in order of arrival: a later number counts.
    """
    found: dict[str, Later] = {}
    for row in rows:
        if row.kind == "evaluation" and row.weights_digest is not None:
            number, scores = found.get(row.weights_digest, NO_LATER)
            found[row.weights_digest] = Later(number + 1, {**scores, **row.scores})
    return found
