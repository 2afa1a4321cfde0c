"""Which problem has which number: pure arithmetic, so any problem can be looked up.

Indices are dealt to families in blocks: each block holds every family as often as its
weight says, in a keyed order. The slot of an index is how many problems its family had
before. A keyed permutation of the family's cores then gives each slot, and each of its
attempts, a core that no other slot or attempt has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from runtime.keys import key
from runtime.permutation import permute
from runtime.synth.draws import Draws
from runtime.synth.family import Family

ATTEMPTS = 3
"""Cores that a slot may try before it is given up."""
CORES_PER_TURN = 500
"""Cores for which a family is dealt one place in each block."""
MOST_OFTEN = 40
"""Places that a family has at most, so that a vast one does not drown the others."""


@dataclass(frozen=True)
class Place:
    """Where an index lies."""

    family: Family
    slot: int


def weight(family: Family) -> int:
    """Return how often a block holds a family: in proportion to its size, capped.

    >>> weight(Family("f", "t", {"a": range(7000)}, None)), MOST_OFTEN
    (14, 40)
    """
    return max(1, min(MOST_OFTEN, family.size // CORES_PER_TURN))


def capacity(families: Sequence[Family]) -> int:
    """Return how many problems some families can make at most."""
    per_block = sum(map(weight, families))
    return min(
        family.size // ATTEMPTS // weight(family) * per_block for family in families
    )


def place_of(index: int, *, seed: int, families: Sequence[Family]) -> Place:
    """Find the family and the slot of an index."""
    size = sum(map(weight, families))
    block, position = divmod(index, size)
    order = _block_order(seed, block, tuple(map(weight, families)))
    member = order[position]
    before = order[:position].count(member)
    family = families[member]
    return Place(family, block * weight(family) + before)


def core_number(place: Place, attempt: int, *, seed: int) -> int:
    """Return the core that an attempt of a slot takes."""
    family = place.family
    slots = family.size // ATTEMPTS
    assert place.slot < slots
    found = permute(
        np.array([attempt * slots + place.slot]),
        keys=np.array([key(seed, "cores", family.name)], np.uint64),
        sizes=np.array([family.size]),
        which=np.zeros(1, np.int64),
    )
    return int(found[0])


@lru_cache(maxsize=8)
def _block_order(seed: int, block: int, weights: tuple[int, ...]) -> list[int]:
    members = [which for which, times in enumerate(weights) for _ in range(times)]
    return Draws(key(seed, "block", block)).shuffled(members)
