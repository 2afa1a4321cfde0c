"""The search of a study: which weights of mixtures are varied, and for which score."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from specs.apportion import exact_decimal
from specs.base import SpecValue
from specs.data import Name
from specs.quantities import MAX_COUNT
from specs.rules import Broken, broken, raise_broken, shown

WHOLE = 1000
"""Per mille of a mixture."""

_PER_PERCENT = 10
_PLACE = re.compile(r"stages\.(0|[1-9][0-9]{0,3})\.mixture\.([a-z][a-z0-9_]*)")


class VariedShare(NamedTuple):
    """One weight that is varied."""

    stage: int
    """Counted from 0."""
    source: str
    """Source or mixture, as the stage's mixture has it."""
    low: int
    """Per mille of the mixture, included."""
    high: int
    """Per mille of the mixture, included."""

    @property
    def place(self) -> str:
        """Where the weight stands in the spec."""
        return f"stages.{self.stage}.mixture.{self.source}"


def check_bounds(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse what is no range of whole per mille."""
    if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 100:
        what = f"must be two percentages, the lower first, got {_told(bounds)}"
        raise broken(what, "write for instance [0, 100]")
    if any((exact_decimal(one) * _PER_PERCENT).denominator > 1 for one in bounds):
        what = f"must have one decimal at most, got {_told(bounds)}"
        raise broken(what, "round it: weights are varied by 0.1 percent")
    return bounds


def _told(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{one:g}" for one in bounds[:3]) or "none"


Bounds = Annotated[
    tuple[float, ...],
    AfterValidator(check_bounds),
    Field(strict=False, json_schema_extra={"minItems": 2, "maxItems": 2}),
]
"""Least and largest share, in percent of the mixture."""


class Objective(SpecValue):
    """What a search looks for the best of."""

    score: Name
    """Of this study; which way is better is the score's."""

    after: Name | None = None
    """Name of the stage; null: the last one."""


class Search(SpecValue):
    """Mixtures that are proposed one after the other, by what the others came to."""

    experiment: Annotated[str, Field(min_length=1, examples=["balanced-to-text"])]
    """Name of the experiment whose mixtures are varied."""

    objective: Objective
    """What is looked for."""

    weights: Annotated[
        dict[str, Bounds],
        Field(
            examples=[{"stages.0.mixture.code": [0, 100]}],
            json_schema_extra={"minProperties": 1},
        ),
    ]
    """Place of a weight in the spec -> its least and largest share, in percent of the
    mixture. What is left is filled up by the one source that isn't named."""

    seed: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Of the proposals."""

    @model_validator(mode="after")
    def _has_a_space(self) -> Self:
        raise_broken(list(self._broken()))
        return self

    @property
    def shares(self) -> tuple[VariedShare, ...]:
        """What is varied, by stage and source; the order in the file is irrelevant."""
        found = []
        for place, (low, high) in self.weights.items():
            parsed = _PLACE.fullmatch(place)
            assert parsed is not None, place
            bounds = [int(exact_decimal(one) * _PER_PERCENT) for one in (low, high)]
            found.append(VariedShare(int(parsed[1]), parsed[2], *bounds))
        return tuple(sorted(found))

    def _broken(self) -> Iterator[Broken]:
        if not self.weights:
            fix = "write {stages.0.mixture.code: [0, 100]}"
            yield Broken("must name at least one", fix, ("weights",))
        wrong = [place for place in self.weights if not _PLACE.fullmatch(place)]
        for place in wrong:
            what = f"must be the place of a weight, got {shown(place)}"
            fix = "write stages.NUMBER.mixture.SOURCE, stages counted from 0"
            yield Broken(what, fix, ("weights", place))
        if wrong:
            return
        lows: dict[int, int] = {}
        for share in self.shares:
            lows[share.stage] = lows.get(share.stage, 0) + share.low
        for stage, low in lows.items():
            if low > WHOLE:
                told = f"{low / _PER_PERCENT:g}"
                what = f"shares of stage {stage} add up to {told} percent at least"
                yield Broken(what, "lower their least shares", ("weights",))
