"""What a family of problems is: a space of meanings, and how one of them is written.

The *core* of a problem is a point of the family's space: it decides what is asked, so
two problems of a family with different cores are different problems. The *surface*
decides how it is told: story, names, wording, style. No core is used twice, which is
why problems do not repeat however many are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.synth.draws import Draws

Core = Mapping[str, Any]
"""Name of a choice -> what was chosen."""


class UnsuitableError(Exception):
    """This core makes no sensible problem; the next attempt takes another."""


@dataclass(frozen=True)
class Param:
    """A parameter of the function that is asked for."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A problem before it is worded, styled and verified.

    Code is a template: `$word` stands for an entry of `fill`, or for a local name.
    `$sig` is the line that begins the function that is asked for.
    """

    names: tuple[str, ...]
    """Names that the function may have."""
    params: tuple[Param, ...]
    returns: str
    """Type of the result."""
    given: str
    """Noun phrase for the arguments, completes "takes ..."."""
    task: str
    """Noun phrase for the result, completes "returns ..."."""
    rules: tuple[str, ...] = ()
    """Whole sentences that settle what the task leaves open."""
    context: str = ""
    """A sentence or two of story, or nothing."""
    solutions: Mapping[str, str]
    """Style -> template; different ways to solve it, not to spell it."""
    reference: str
    """Template of `def reference(...)`: another way again, obvious before fast."""
    inputs: Callable[[Draws], tuple[Any, ...]]
    """Draws arguments for one call."""
    edges: tuple[tuple[Any, ...], ...] = ()
    """Arguments that must always be tried."""
    fill: Mapping[str, str] = field(default_factory=dict)
    level: int = 0
    """Added to the difficulty that the solution shows."""


@dataclass(frozen=True)
class Family:
    """Problems of one kind."""

    name: str
    topic: str
    space: Mapping[str, Sequence[Any]]
    """Name of a choice -> what may be chosen; a core has one of each."""
    build: Callable[[Core, Draws], Draft]

    @property
    def size(self) -> int:
        """Number of cores."""
        return math.prod(map(len, self.space.values()))

    def core(self, number: int) -> dict[str, Any]:
        """Return the core of a number, as digits in a mixed radix.

        >>> f = Family("f", "t", {"a": "xy", "b": (1, 2, 3)}, None)
        >>> [f.core(number) for number in (0, 1, 5)]
        [{'a': 'x', 'b': 1}, {'a': 'y', 'b': 1}, {'a': 'y', 'b': 3}]
        """
        assert 0 <= number < self.size
        chosen = {}
        for name, options in self.space.items():
            number, digit = divmod(number, len(options))
            chosen[name] = options[digit]
        return chosen
