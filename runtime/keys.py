"""Named random keys: a number from a seed and a name, never from a position.

Adding a layer or a source changes no other key, as it would if keys were drawn one
after the other from a generator.
"""

from __future__ import annotations

import hashlib

from specs.canonical import canonical_json


def key(seed: int, *names: str | int) -> int:
    """Derive a 64-bit key from a seed and a name of any number of parts.

    It is BLAKE2b with 8 bytes, little-endian, over the canonical JSON of
    `[seed, *names]`, where an integer is written as a list of its decimal digits:
    canonical JSON holds no integers above 2**53, and 5 must not equal "5".

    Args:
        seed: The experiment's seed.
        *names: Parts of the name, such as `"init", "block_3.attn.q"`.

    >>> key(17, "order", "text", 0) == key(17, "order", "text", 1)
    False
    >>> 0 <= key(17, "init") < 2**64
    True
    """
    parts = [[str(part)] if isinstance(part, int) else part for part in (seed, *names)]
    digest = hashlib.blake2b(canonical_json(parts), digest_size=8).digest()
    return int.from_bytes(digest, "little")
