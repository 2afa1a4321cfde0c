"""Word n-grams that no problem may hold, such as those of benchmark questions.

The file has one n-gram a line, all of the same number of words. Text and n-grams are
compared as lower-case words of letters and digits, so punctuation hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specs.errors import InputError

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Excluded:
    """N-grams of one length."""

    length: int
    """Words of each; 0 if nothing is excluded."""
    ngrams: frozenset[str]

    def found_in(self, text: str) -> str | None:
        """Return an n-gram that a text holds, or nothing.

        >>> Excluded(2, frozenset({"has close"})).found_in("if it HAS_close elements")
        'has close'
        """
        if not self.length:
            return None
        return next(
            (one for one in ngrams(text, self.length) if one in self.ngrams), None
        )


NOTHING = Excluded(0, frozenset())


def ngrams(text: str, length: int) -> Iterator[str]:
    """Yield the word n-grams of a text.

    >>> list(ngrams("Sum of a, b", 3))
    ['sum of a', 'of a b']
    """
    words = _WORD.findall(text.lower())
    for start in range(len(words) - length + 1):
        yield " ".join(words[start : start + length])


def read_excluded(path: Path) -> Excluded:
    """Read a file of n-grams.

    Raises:
        InputError: It can't be read, or its n-grams differ in length.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"can't be read: {error}", file=str(path), fix="name a UTF-8 text file"
        ) from None
    found, length = set(), 0
    for number, line in enumerate(lines, 1):
        words = _WORD.findall(line.lower())
        length = length or len(words)
        if len(words) != length:
            raise InputError(
                f"all n-grams must have {length} words, got {len(words)}",
                file=str(path),
                line=number,
                fix="make a file for each length",
            )
        found.add(" ".join(words))
    return Excluded(length, frozenset(found))
