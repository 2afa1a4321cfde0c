"""A stream of draws from a key, the same on every version of Python.

`random.Random` promises the same numbers only for a few of its methods. This is
SplitMix64 (Steele, Lea and Flood, 2014) and multiply-shift ranges: a draw from n
values is off from uniform by less than n / 2**64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = 2**64 - 1


class Draws:
    """Numbers and choices, one after the other, from one key."""

    def __init__(self, key: int):
        """Start a stream.

        Args:
            key: As `runtime.keys.key` derives it.
        """
        self._state = key & _MASK

    def below(self, size: int) -> int:
        """Draw from 0 to `size` - 1.

        >>> [Draws(7).below(10), Draws(7).below(10), Draws(8).below(10)]
        [3, 3, 6]
        """
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        value = self._state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((value ^ (value >> 31)) * size) >> 64

    def integer(self, low: int, high: int) -> int:
        """Draw from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def integers(self, count: int, low: int, high: int) -> list[int]:
        """Draw `count` numbers from `low` to `high`."""
        return [self.integer(low, high) for _ in range(count)]

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of some options."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """Draw yes with a probability."""
        return self.below(100) < percent

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a drawn order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(len(left))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Draw different places; as many items as there are if `count` is more."""
        return self.shuffled(items)[:count]

    def text(self, length: int, alphabet: str) -> str:
        """Draw a string."""
        return "".join(self.choice(alphabet) for _ in range(length))
