"""Curves in one line of text: blocks where the terminal has them, ASCII elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from codemix_cli.output import table

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
BORDER = "\u2502"
ASCII_BLOCKS = "_.-=+*%#"
ASCII_BORDER = "|"
NOT_FINITE = "!"

Json = dict[str, Any]


def sparkline(
    values: Sequence[float | str | None],
    *,
    borders: Sequence[int] = (),
    is_ascii: bool = False,
) -> str:
    """Draw numbers as a row of blocks, the least one low and the greatest one high.

    Args:
        values: Null leaves a blank; what is not finite, also as text, is marked.
        borders: Places that a mark comes before.
        is_ascii: Whether the terminal has no blocks.

    >>> sparkline([1.0, 2.0, None, 3.0, "nan"], borders=[3], is_ascii=True)
    '_+ |#!'
    """
    blocks = ASCII_BLOCKS if is_ascii else BLOCKS
    border = ASCII_BORDER if is_ascii else BORDER
    numbers = [None if value is None else float(value) for value in values]
    finite = [one for one in numbers if one is not None and math.isfinite(one)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    drawn = []
    for place, number in enumerate(numbers):
        if place and place in borders:
            drawn.append(border)
        if number is None:
            drawn.append(" ")
        elif not math.isfinite(number):
            drawn.append(NOT_FINITE)
        else:
            drawn.append(blocks[_level(number, low, high, len(blocks))])
    return "".join(drawn)


def has_blocks() -> bool:
    """Whether what is printed can hold blocks."""
    try:
        f"{BLOCKS}{BORDER}".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def told_curves(told: Json) -> str:
    """Write the curves of a run, a line each, with borders of stages.

    Args:
        told: What `ledger.curves.entry_curves` returns.
    """
    is_ascii = not has_blocks()
    border = ASCII_BORDER if is_ascii else BORDER
    rows = []
    for curve in told["curves"]:
        line = sparkline(curve["bins"], borders=told["borders"], is_ascii=is_ascii)
        least = "-" if curve["least"] is None else _number(curve["least"])
        at = "" if curve["least"] is None else f"at {curve['least_step']:,}"
        rows.append([curve["name"], line, least, at, _number(curve["last"])])
    if told["problem"] is not None:
        return f"curves: {told['problem']}"
    if not rows:
        return ""
    stages = f" {border} ".join(told["stages"])
    return table([["curve", stages, "least", "", "last"], *rows], right=[2, 4])


def _level(number: float, low: float, high: float, num_levels: int) -> int:
    # Halved: the distance of two large numbers is no number.
    span = high / 2 - low / 2
    if span == 0:
        return num_levels // 2
    return min(num_levels - 1, int((number / 2 - low / 2) / span * num_levels))


def _number(text: str) -> str:
    return f"{float(text):.5g}"
