"""The shapes in which a model is asked: a few, which follow from a request alone.

A program of another shape may round otherwise. So what is computed together must not
depend on what else is asked: each request has its own width, and each width its rows.
"""

from __future__ import annotations

from ledger.facts import JsonObject

MIN_WIDTH = 32
"""Tokens of the narrowest rows."""

LANE_TOKENS = 512
"""Tokens of a lane, about: enough for large products, and little waste at the end."""

ROW_MULTIPLE = 4
"""Rows of a lane are a multiple of it: the last rows of a product that its kernel can't
take together with others may be summed in another order."""


LANE_ROWS = 32
"""Rows of a lane that generates: answers that grow at the same time on one device."""

CHUNK_TOKENS = 8
"""Tokens that are generated before the host looks at them."""

PROMPT_TOKENS = 1024
"""Tokens of prompts that a lane reads at once, about: rows wait for them."""

MIN_SLOTS = 256
"""Slots of the smallest cache: prompts with caches of one size fill lanes together."""


def widths(length: int) -> tuple[int, ...]:
    """Return the widths of rows, in tokens: powers of two, and halfway between them.

    >>> widths(200)
    (32, 48, 64, 96, 128, 192, 200)
    """
    found = []
    width = MIN_WIDTH
    while width < length:
        found.append(width)
        width += width // 2 if width & (width - 1) == 0 else width // 3
    return (*found, length)


def width_of(num_tokens: int, length: int) -> int:
    """Return the narrowest width that holds so many tokens, or the widest.

    >>> width_of(33, 200), width_of(500, 200)
    (48, 200)
    """
    fitting = [width for width in widths(length) if width >= num_tokens]
    return fitting[0] if fitting else length


def rows_of(width: int) -> int:
    """Return the rows of a lane.

    >>> rows_of(32), rows_of(96), rows_of(8192)
    (16, 4, 4)
    """
    return max(1, LANE_TOKENS // width // ROW_MULTIPLE) * ROW_MULTIPLE


def scored_of(num_scored: int, width: int) -> int:
    """Return how many tokens at most are scored in each row of a call.

    Logits cost much where the vocabulary is large, and continuations are mostly short.

    >>> scored_of(5, 64), scored_of(20, 64)
    (16, 64)
    """
    few = width // 4
    return few if num_scored <= few else width


def slots_of(num_tokens: int, length: int) -> int:
    """Return the slots of the cache for a prompt and its answer: a power of two.

    >>> slots_of(300, 8192), slots_of(300, 400)
    (512, 400)
    """
    return min(max(MIN_SLOTS, 1 << (num_tokens - 1).bit_length()), length)


def prompts_of(width: int) -> int:
    """Return how many prompts of a width a lane reads at once.

    >>> prompts_of(32), prompts_of(192)
    (8, 4)
    """
    return min(8, max(1, PROMPT_TOKENS // width // ROW_MULTIPLE) * ROW_MULTIPLE)


def scoring_shapes(length: int) -> JsonObject:
    """Return what decides which requests share a program, for fingerprints.

    Args:
        length: Most tokens that the model sees at once.
    """
    return {
        "length": length,
        "rows_by_width": {str(width): rows_of(width) for width in widths(length)},
        "scored_by_width": {
            str(width): [scored_of(1, width), width] for width in widths(length)
        },
        "generation": {
            "rows": LANE_ROWS,
            "slots": [*sorted({slots_of(n, length) for n in (1, *widths(length))})],
            "prompts_by_width": {
                str(width): prompts_of(width) for width in widths(length)
            },
        },
    }
