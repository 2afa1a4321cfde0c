"""What counts as the same text."""

from __future__ import annotations

import hashlib
from typing import Literal

Normalise = Literal["none", "whitespace"]

HASH_BYTES = 16
"""Of the 32 of a SHA-256: a billion documents collide with a chance below 1e-20."""


def normalised(text: bytes, normalise: Normalise) -> bytes:
    r"""Return a text as it is compared.

    Args:
        text: UTF-8; of its white space only ASCII's counts, whatever Python's Unicode.
        normalise: The rule.

    >>> normalised(b"  a\n\t b\r\n", "whitespace")
    b'a b'
    """
    return text if normalise == "none" else b" ".join(text.split())


def content_hash(text: bytes) -> bytes:
    """Return the hash by which texts are the same."""
    return hashlib.sha256(text).digest()[:HASH_BYTES]
