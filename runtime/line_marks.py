"""Where lines of plain files begin, as far as this process has come across it.

A worker reads one range of lines after the other. Without marks each would begin at the
top of the file; with them it goes on where an earlier range ended. They only save time:
which lines are read does not depend on them.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import BinaryIO

Stamp = tuple[int, int, int, int]

_MARKS: dict[Stamp, list[tuple[int, int]]] = {}
"""File as it is -> number of lines before a mark, its byte; in order."""


def go_near(stream: BinaryIO, line: int) -> int:
    """Move to the last mark before a line.

    Args:
        stream: Of a plain file, at its beginning.
        line: Counted from 0.

    Returns:
        How many lines are before the new position.
    """
    marks = _MARKS.get(_stamp(stream), [])
    place = bisect_right(marks, line, key=lambda mark: mark[0])
    if not place:
        return 0
    before, position = marks[place - 1]
    stream.seek(position)
    return before


def set_mark(stream: BinaryIO, line: int) -> None:
    """Remember that a line begins where a stream stands."""
    marks = _MARKS.setdefault(_stamp(stream), [])
    place = bisect_right(marks, line, key=lambda mark: mark[0])
    if not place or marks[place - 1][0] != line:
        marks.insert(place, (line, stream.tell()))


def _stamp(stream: BinaryIO) -> Stamp:
    found = os.fstat(stream.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns
