"""Canonical JSON (RFC 8785) and the SHA-256 digests over it.

Two values have one digest exactly when they are the same JSON value, whatever the
order of their keys or the machine that wrote them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    r"""Encode a JSON value in the one way of RFC 8785.

    >>> canonical_json({"b": 1.0, "a": [True, None, "\u00e9"]})
    b'{"a":[true,null,"\xc3\xa9"],"b":1}'
    """
    return rfc8785.dumps(value)


def digest_of(value: Any) -> str:
    """Hex SHA-256 of the canonical JSON of a value.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()
