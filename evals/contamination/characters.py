"""What every character is to words, and the fast ways to apply that to a text.

Almost all text is made of characters that NFKC and case folding turn into one character
each, whatever is beside them. Such text is looked up in a table; the rest goes through
the rules themselves. A test compares the two.
"""

from __future__ import annotations

import functools
import sys
import unicodedata

import numpy as np
from numpy.typing import NDArray

NORMALISATION = f"words 1, Unicode {unicodedata.unidata_version}"
"""Names the rules: equal words under another name may be other text."""

SPACE = 0x20

_WORD, _SEPARATES, _VANISHES = 0, 1, 2

_TABLE_SIZE = 0x20000
_NEWLINE = 0x0A
_FEW = 64
"""Characters per one that needs the rules, for those to be applied around it alone."""

_DROPPED, _BY_THE_RULES = 0xFFFFFFFE, 0xFFFFFFFF
_CONJOINING_JAMO = ((0x1100, 0x1200), (0xA960, 0xA980), (0xD7B0, 0xD800))

Points = NDArray[np.uint32]


def normalise(text: bytes) -> bytes:
    r"""Return the words of a text, with one or more spaces around and between them.

    Args:
        text: UTF-8; bytes that are none separate words.

    >>> normalise("Isn\u2019t it \ufb01ne_99?".encode()).split()
    [b'isn', b't', b'it', b'fine', b'99']
    """
    if text.isascii():
        return text.translate(_ascii_table())
    decoded = text.decode("utf-8", "replace")
    points = _points_of(decoded)
    made = _table()[np.minimum(points, _TABLE_SIZE)]
    hard = np.flatnonzero(made == _BY_THE_RULES)
    if len(hard) * _FEW > len(points):
        return by_the_rules(decoded)
    # A space or a line's end is joined with nothing, so texts can be cut before it.
    borders = np.flatnonzero((points == SPACE) | (points == _NEWLINE))
    borders = np.concatenate([[0], borders, [len(points)]])
    parts, done = [], 0
    for next_border in np.unique(borders.searchsorted(hard, "right")).tolist():
        start, stop = borders[next_border - 1 : next_border + 1].tolist()
        parts += [_kept(made[done:start]), by_the_rules(decoded[start:stop])]
        done = stop
    return b"".join([*parts, _kept(made[done:])])


def by_the_rules(text: str) -> bytes:
    """Return what `normalise` does, for any text."""
    points = _points_of(unicodedata.normalize("NFKC", text).casefold())
    kinds = _kinds()[points]
    points = np.where(kinds == _WORD, points, np.uint32(SPACE))
    return _text_of(points[kinds != _VANISHES])


def _points_of(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))


def _kept(made: Points) -> bytes:
    return _text_of(made[made != _DROPPED])


def _text_of(points: Points) -> bytes:
    return points.tobytes().decode("utf-32-le").encode()


@functools.cache
def _ascii_table() -> bytes:
    kept = [
        ord(chr(point).lower()) if _kind_of(point) == _WORD else SPACE
        for point in range(128)
    ]
    return bytes(kept + [SPACE] * 128)


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    """Return what every code point is."""
    points = range(sys.maxunicode + 1)
    return np.fromiter((_kind_of(point) for point in points), np.uint8, len(points))


@functools.cache
def _table() -> Points:
    """Return what the first code points become, and behind them what others do."""
    points = range(_TABLE_SIZE)
    joining = {second for point in points for second in _seconds(chr(point))}
    made = [_made_of(chr(point), joining) for point in points]
    return np.array([*made, _BY_THE_RULES], np.uint32)


def _made_of(character: str, joining: set[str]) -> int:
    """Return the one character that another becomes, whatever is beside it.

    Args:
        character: Any.
        joining: Characters that may be joined to one before them.
    """
    made = unicodedata.normalize("NFKC", character)
    is_jamo = any(start <= ord(made[0]) < stop for start, stop in _CONJOINING_JAMO)
    if is_jamo or made[0] in joining or _is_mark(character) or _is_mark(made[0]):
        return _BY_THE_RULES
    kinds = [(one, _kind_of(ord(one))) for one in made.casefold()]
    kept = [
        ord(one) if kind == _WORD else SPACE for one, kind in kinds if kind != _VANISHES
    ]
    if not kept:
        return _DROPPED
    return kept[0] if len(kept) == 1 or set(kept) == {SPACE} else _BY_THE_RULES


def _seconds(character: str) -> list[str]:
    """Return the characters that a canonical composition may join to another."""
    parts = unicodedata.decomposition(character).split()
    is_canonical = len(parts) > 1 and not parts[0].startswith("<")
    return [chr(int(part, 16)) for part in parts[1:]] if is_canonical else []


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _kind_of(point: int) -> int:
    category = unicodedata.category(chr(point))
    if category == "Cf":
        return _VANISHES
    return _WORD if category[0] in "LMN" else _SEPARATES
