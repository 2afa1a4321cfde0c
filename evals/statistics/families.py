"""Many comparisons in one table, where one of twenty shows a difference by chance."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values that hold for the whole family (Holm, 1979).

    The chance that any of them is at most alpha, where nothing differs, is at most
    alpha, however the comparisons hang together.

    Args:
        p_values: Of all comparisons of the family; null: one that has none.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    order = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, at) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        found[at] = largest
    return found
