"""The mixtures that a search may propose, and the experiment that each one is.

Shares are whole per mille, chosen one after the other: the bounds of the next leave
room for the least of all that follow, so every choice is a mixture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from specs.experiment import Experiment
from specs.search import WHOLE, VariedShare

Shares = tuple[int, ...]
"""Per mille, one for each share that is varied, in their order."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What is varied of which experiment."""

    base: Experiment
    varied: tuple[VariedShare, ...]

    def bounds_after(self, chosen: Sequence[int]) -> tuple[int, int]:
        """Return the least and the largest value of the next share, in per mille.

        Args:
            chosen: Those before it.
        """
        mine = self.varied[len(chosen)]
        before = zip(self.varied, chosen, strict=False)
        used = sum(value for share, value in before if share.stage == mine.stage)
        after = self.varied[len(chosen) + 1 :]
        kept = sum(share.low for share in after if share.stage == mine.stage)
        return mine.low, min(mine.high, WHOLE - used - kept)

    def holds(self, shares: Shares) -> bool:
        """Whether a search could propose these."""
        if len(shares) != len(self.varied):
            return False
        bounds = [self.bounds_after(shares[:index]) for index in range(len(shares))]
        return all(
            low <= value <= high
            for value, (low, high) in zip(shares, bounds, strict=True)
        )

    def name(self, shares: Shares) -> str:
        """Return the name of an experiment with these shares."""
        parts = [
            f".{share.stage}.{share.source}-{value:03d}"
            for share, value in zip(self.varied, shares, strict=True)
        ]
        return f"{self.base.name}{''.join(parts)}"

    def shares_of(self, name: str) -> Shares | None:
        """Return the shares that an experiment's name tells; None: it tells none."""
        parts = [rf"\.{one.stage}\.{one.source}-(\d{{3,4}})" for one in self.varied]
        found = re.fullmatch(f"{re.escape(self.base.name)}{''.join(parts)}", name)
        return None if found is None else tuple(int(one) for one in found.groups())

    def experiment(self, shares: Shares) -> Experiment:
        """Return the experiment with these shares; a source without any is left out."""
        document = self.base.to_json()
        document["name"] = self.name(shares)
        by_stage: dict[int, dict[str, int]] = {}
        for share, value in zip(self.varied, shares, strict=True):
            by_stage.setdefault(share.stage, {})[share.source] = value
        for stage, chosen in by_stage.items():
            mixture: dict[str, Any] = document["stages"][stage]["mixture"]
            rest = WHOLE - sum(chosen.values())
            values = {name: chosen.get(name, rest) for name in mixture}
            document["stages"][stage]["mixture"] = {
                name: value / 10 for name, value in values.items() if value
            }
        return Experiment.model_validate(document)

    def corners(self) -> list[Shares]:
        """Return the shares where one source has as much as it can, for each source."""
        lows = tuple(share.low for share in self.varied)
        found = [lows]
        for index, share in enumerate(self.varied):
            others = sum(
                one.low
                for number, one in enumerate(self.varied)
                if number != index and one.stage == share.stage
            )
            most = min(share.high, WHOLE - others)
            found.append((*lows[:index], most, *lows[index + 1 :]))
        return found
