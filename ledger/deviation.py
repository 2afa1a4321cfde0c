"""How far the numbers of a replay are from those recorded, against a tolerance.

The tolerance is relative and holds for every logged metric and every score alike. It is
declared before the replay: one that is chosen to fit the outcome says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from ledger.floats import float_text
from specs.base import Value


class Deviation(Value):
    """One number that is not as recorded."""

    quantity: str
    """`loss`, or suite and name of a score."""
    channel: Literal["metrics", "scores"]
    step: int
    was: str
    now: str
    distance: str
    """Relative to the recorded number, as text; `inf` where it makes no sense."""

    @property
    def what(self) -> str:
        """The deviation in a few words."""
        return f"{self.quantity} of step {self.step} was {self.was}, is {self.now}"


class Tolerance(Value):
    """What was declared, and what came of it."""

    relative: str
    """Largest relative distance allowed, as text."""
    furthest: Deviation | None
    """The number that is furthest off; null where all are the same."""


class Deviations:
    """Keeps the furthest number and the first that is too far."""

    def __init__(self, relative: float) -> None:
        self._relative = relative
        self._distance = 0.0
        self.furthest: Deviation | None = None
        self.first_beyond: Deviation | None = None

    def add(
        self, step: int, was: Mapping[str, str], now: Mapping[str, str], suite: str = ""
    ) -> None:
        """Compare the numbers of one step; a missing one is infinitely far.

        Args:
            step: Of the metrics, or steps done before the scores.
            was: Name -> number as text, in the original.
            now: In the replay.
            suite: Of the scores; empty for metrics.
        """
        for name in sorted({*was, *now}):
            old, new = was.get(name, "absent"), now.get(name, "absent")
            distance = relative_distance(old, new)
            if distance == 0:
                continue
            found = Deviation(
                quantity=f"{suite} {name}".strip(),
                channel="scores" if suite else "metrics",
                step=step,
                was=old,
                now=new,
                distance=float_text(distance),
            )
            if distance > self._distance:
                self._distance, self.furthest = distance, found
            if distance > self._relative and self.first_beyond is None:
                self.first_beyond = found

    def told(self) -> Tolerance:
        """Return the tolerance with how far it went."""
        return Tolerance(relative=float_text(self._relative), furthest=self.furthest)


def relative_distance(was: str, now: str) -> float:
    """Measure how far a number is from the recorded one, relative to it.

    Where either is missing, infinite or no number, only the same text is near.

    >>> relative_distance("2.0", "2.5")
    0.25
    >>> relative_distance("nan", "nan"), relative_distance("0.0", "1e-30")
    (0.0, inf)
    """
    if was == now:
        return 0.0
    if "absent" in (was, now):
        return math.inf
    old, new = float(was), float(now)
    if not (math.isfinite(old) and math.isfinite(new)):
        return math.inf
    if old == new:  # 0.0 and -0.0
        return 0.0
    return abs(new - old) / abs(old) if old else math.inf
