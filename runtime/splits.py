"""Which split a document belongs to: a function of its text alone.

So a document is held out whatever file, source or order it comes in, and every copy of
it with it. The hash is SHA-256 over the UTF-8 text; its first 8 bytes, read as a number
from 0 to 1, are compared with the share exactly, in integers.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Literal

Split = Literal["train", "heldout", "reserved"]

SPLITS: tuple[Split, ...] = ("train", "heldout")
"""The splits that are kept; `reserved` documents are counted and used nowhere."""


class Splitter:
    """Puts documents in splits by the shares of one source."""

    def __init__(self, *, holdout: str, reserve: str):
        """Take the two shares.

        Args:
            holdout: Share of documents held out of this source, a decimal number.
            reserve: Largest holdout share of any source: what is below it, another
                source may hold out, so it is not trained on here either.
        """
        self._holdout = Fraction(holdout)
        self._reserve = max(Fraction(reserve), self._holdout)

    def split_of(self, text: bytes) -> Split:
        """Return the split of a document.

        Args:
            text: The document as UTF-8.
        """
        position = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
        if _is_below(position, self._holdout):
            return "heldout"
        return "reserved" if _is_below(position, self._reserve) else "train"


def _is_below(position: int, share: Fraction) -> bool:
    """Tell whether `position / 2**64 < share`, exactly."""
    return position * share.denominator < share.numerator << 64
