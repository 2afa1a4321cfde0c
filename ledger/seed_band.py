"""What another seed does to the final numbers of a run: the band that replays lie in.

Repeats are completed runs of the ledger that differ from the original in their seed and
in nothing else that decides a result. From the final numbers of n repeats comes, for
each number, the interval in which the next run with a seed of its own lies with
probability 1 - alpha: mean +- t * s * sqrt(1 + 1/n), Student's t with n - 1 degrees of
freedom. With m numbers each gets alpha / m, so that one of them outside is as rare as
alpha says (Bonferroni).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ledger.facts import Sha256
from ledger.floats import float_text
from ledger.student import student_quantile
from specs.base import Value

ALPHA = 0.05
"""Chance that a run with another seed, and nothing else, falls outside."""

FEWEST_REPEATS = 3


class BandQuantity(Value):
    """One final number, with what seeds do to it. Numbers are text."""

    name: str
    low: str
    high: str
    relative_width: str
    """Of the band, relative to the mean of the repeats: a wide band proves little."""
    was: str
    """In the original."""
    now: str | None
    """In the replay; null if it did not come to it."""

    @property
    def is_inside(self) -> bool:
        """Whether the replay's number lies in the band."""
        if self.now is None:
            return False
        return float(self.low) <= float(self.now) <= float(self.high)


class SeedBand(Value):
    """The band of every final number."""

    alpha: str
    """Of all numbers together."""
    repeats: tuple[Sha256, ...]
    """Entries that it was measured from, one per seed; never the original."""
    quantities: tuple[BandQuantity, ...]
    """Empty where there are too few repeats."""

    @property
    def is_enough(self) -> bool:
        """Whether there are repeats enough to say anything."""
        return len(self.repeats) >= FEWEST_REPEATS

    @property
    def outside(self) -> tuple[BandQuantity, ...]:
        """Numbers that are not in their band."""
        return tuple(one for one in self.quantities if not one.is_inside)

    @property
    def widest(self) -> BandQuantity:
        """The number that the band says least of."""
        return max(self.quantities, key=lambda one: float(one.relative_width))


def band_of(
    name: str, sample: Sequence[str | None], *, was: str, now: str | None, alpha: float
) -> BandQuantity:
    """Measure the band of one number.

    Args:
        name: Of the number.
        sample: In each repeat, as text; null where it is missing.
        was: In the original.
        now: In the replay; null where it is missing.
        alpha: Chance that a run with another seed falls outside of this band.
    """
    numbers = [float(one) for one in sample if one is not None]
    if len(numbers) < len(sample) or not all(map(math.isfinite, numbers)):
        # Something that repeats do not all have says nothing: an empty band.
        low, high, width = math.inf, -math.inf, math.nan
    else:
        mean = statistics.fmean(numbers)
        spread = statistics.stdev(numbers) * math.sqrt(1 + 1 / len(numbers))
        reach = student_quantile(1 - alpha / 2, len(numbers) - 1) * spread
        low, high = mean - reach, mean + reach
        if reach == 0:
            low = high = numbers[0]
        width = 2 * reach / abs(mean) if mean else math.inf if reach else 0.0
    return BandQuantity(
        name=name,
        low=float_text(low),
        high=float_text(high),
        relative_width=float_text(width),
        was=was,
        now=now,
    )
