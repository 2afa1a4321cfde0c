"""Which questions are asked, and which solved examples come before each.

Both are functions of names and numbers of rows alone: not of the experiment's seed, so
that runs are compared on the same questions, nor of how many others are asked.
"""

from __future__ import annotations

import numpy as np

from runtime.keys import key
from runtime.permutation import permute


def asked_rows(num_rows: int, limit: int | None) -> tuple[int, ...]:
    """Return the indices of the rows that are asked, in the order of the file.

    A smaller limit asks some of the questions of a larger one.

    >>> len(asked_rows(100, 7)), set(asked_rows(100, 7)) < set(asked_rows(100, 8))
    (7, True)
    """
    if limit is None or limit >= num_rows:
        return tuple(range(num_rows))
    return tuple(sorted(_first_places(num_rows, limit, key(0, "questions", num_rows))))


def shot_rows(
    row: int, *, number: int, seed: int, num_rows: int, is_own: bool
) -> tuple[int, ...]:
    """Return the rows of the solved examples before a question.

    Args:
        row: Of the question.
        number: Examples; fewer than there are.
        seed: Of the task's `shots`.
        num_rows: Rows that examples are taken from.
        is_own: These are the task's own questions, so not the question itself.
    """
    wanted = number + 1 if is_own else number
    found = _first_places(num_rows, wanted, key(seed, "shots", row))
    return tuple(one for one in found if not (is_own and one == row))[:number]


def _first_places(size: int, count: int, key_: int) -> list[int]:
    """Return where a keyed permutation puts the first of its elements."""
    places = permute(
        np.arange(count),
        keys=np.array([key_], np.uint64),
        sizes=np.array([size]),
        which=np.zeros(count, np.int64),
    )
    return [int(place) for place in places]
