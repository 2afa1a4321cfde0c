"""The stages part of a spec: batches, learning rates, what carries over."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from specs.base import SpecValue
from specs.data import Name, Weights
from specs.quantities import MAX_COUNT, Count, Whole
from specs.rules import Broken, broken, raise_broken, shown


def check_rate(value: Any) -> Any:
    """Refuse what no learning rate can be, in one message."""
    if value == "previous" or (type(value) in (int, float) and value >= 0):
        return value
    raise broken(
        f"must be a number from 0 on or 'previous', got {shown(value)}",
        "write a number such as 3.0e-4, or previous for the last rate before",
    )


def check_peak(value: Any) -> Any:
    """Refuse a peak of nothing: such a stage would train nothing."""
    if value != 0 or isinstance(value, bool):
        return check_rate(value)
    raise broken(
        f"must be above 0, got {shown(value)}", "write a number such as 3.0e-4"
    )


Rate = Annotated[
    Annotated[float, Field(ge=0)] | Literal["previous"], BeforeValidator(check_rate)
]
"""A learning rate, or the last one of the stage before."""

PeakRate = Annotated[
    Annotated[float, Field(gt=0)] | Literal["previous"],
    BeforeValidator(check_peak),
    Field(examples=[3.0e-4, "previous"]),
]
"""A learning rate above zero, or the last one of the stage before."""


class _Schedule(SpecValue):
    warmup_steps: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """Steps of linear rise from `warmup_from` to `peak`, which the last of them has."""

    warmup_from: Rate = 0.0
    """Where the warm-up starts from."""

    peak: PeakRate
    """The highest rate; `previous` takes over the last rate of the stage before."""


class Constant(_Schedule):
    """The peak, to the end."""

    schedule: Literal["constant"]
    """Names the schedule."""


class Cosine(_Schedule):
    """Half a cosine from the peak to the final rate."""

    schedule: Literal["cosine"]
    """Names the schedule."""
    final: Annotated[float, Field(ge=0, examples=[1.0e-6])]
    """Rate of the last step."""


class Linear(_Schedule):
    """A straight line from the peak to the final rate."""

    schedule: Literal["linear"]
    """Names the schedule."""
    final: Annotated[float, Field(ge=0, examples=[1.0e-6])]
    """Rate of the last step."""


class WarmupStableDecay(_Schedule):
    """The peak until `decay_steps` before the end, then down to the final rate."""

    schedule: Literal["warmup_stable_decay"]
    """Names the schedule."""
    decay_steps: Whole
    """Steps of decay at the end of the stage."""
    decay: Literal["linear", "cosine", "sqrt"] = "linear"
    """Shape of the decay; `sqrt` falls with one minus the root of the progress."""
    final: Annotated[float, Field(ge=0, examples=[1.0e-6])]
    """Rate of the last step."""


Schedule = Annotated[
    Constant | Cosine | Linear | WarmupStableDecay, Field(discriminator="schedule")
]


AUTO = "auto"

MIN_LANES = 8
"""Lanes of a batch by default, where its sequences divide so."""

MAX_LANE_TOKENS = 16_384
"""Tokens of a lane by default: what its activations take decides what fits."""


def _lane_has_a_default(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema what `_default_lane` does."""
    schema["required"].remove("lane")
    number = schema["properties"]["lane"]
    told = {
        key: number.pop(key)
        for key in ("title", "description", "examples")
        if key in number
    }
    schema["properties"]["lane"] = {"anyOf": [number, {"const": AUTO}], **told}


class Batch(SpecValue):
    """What one optimizer step sees."""

    model_config = ConfigDict(json_schema_extra=_lane_has_a_default)

    sequences: Annotated[Whole, Field(examples=[512])]
    """Sequences per step, over all devices."""

    length: Annotated[int, Field(gt=1, le=MAX_COUNT, examples=[8192])]
    """Tokens per sequence."""

    lane: Annotated[Whole, Field(examples=[2, "auto"])]
    """Sequences per lane: the slice whose arithmetic never depends on the number of
    devices. `sequences / lane` is a power of two, and the most devices that can share
    the batch. `auto`, the default: at most an eighth of the sequences and at most
    16,384 tokens, or as near as divides the batch."""

    accumulation: Whole = 1
    """Lanes that each device works through at least, one after another; a power of
    two. It bounds memory and devices, and in exact mode changes no number."""

    remat: Literal["auto", "none", "attention", "block"] = "auto"
    """What is kept of each block for the backward pass: `none` is computed twice,
    all but attention is (`attention`), or all of it (`block`). Less memory, more time,
    other rounding. `auto`: the first that needs at most 4 GiB per lane by formula."""

    @model_validator(mode="before")
    @classmethod
    def _default_lane(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("lane", AUTO) != AUTO:
            return data
        sequences, length = data.get("sequences"), data.get("length")
        # What is wrong with either of them is said there, once.
        is_count = type(sequences) is int and sequences > 0
        if isinstance(sequences, int) and is_count and isinstance(length, int):
            return {**data, "lane": default_lane(sequences, length)}
        return {**data, "lane": 1}

    @model_validator(mode="after")
    def _lanes_are_a_power_of_two(self) -> Self:
        num_lanes, rest = divmod(self.sequences, self.lane)
        if rest or num_lanes & (num_lanes - 1):
            raise broken(
                "sequences / lane must be a power of two, got "
                f"{self.sequences} / {self.lane}",
                f"use one of {', '.join(map(str, _lane_choices(self.sequences)[:8]))}",
                "lane",
            )
        rules = []
        if self.accumulation & (self.accumulation - 1):
            what = f"must be a power of two, got {self.accumulation}"
            rules.append(Broken(what, "use 1, 2, 4, 8, ...", ("accumulation",)))
        elif self.accumulation > num_lanes:
            what = f"must be at most sequences / lane = {num_lanes}, got "
            fix = f"use {num_lanes} or less, or a smaller lane"
            rules.append(Broken(f"{what}{self.accumulation}", fix, ("accumulation",)))
        raise_broken(rules)
        return self


def default_lane(sequences: int, length: int) -> int:
    """Return the lane of a batch that names none.

    >>> default_lane(16, 256), default_lane(512, 8192), default_lane(24, 1024)
    (2, 2, 3)
    """
    choices = _lane_choices(sequences)
    for lane in choices:
        if sequences // lane >= MIN_LANES and lane * length <= MAX_LANE_TOKENS:
            return lane
    return choices[-1]


def _lane_choices(sequences: int) -> list[int]:
    """Return the lanes that a batch can have, the largest first.

    >>> _lane_choices(24)
    [24, 12, 6, 3]
    """
    choices = [sequences]
    while choices[-1] % 2 == 0:
        choices.append(choices[-1] // 2)
    return choices


class Stage(SpecValue):
    """A span of training with one mixture and one learning-rate schedule."""

    name: Name
    """Unique in the experiment."""

    tokens: Annotated[Count, Field(examples=["200B"])]
    """Tokens to train on, such as 200B; rounded down to whole steps."""

    mixture: Weights
    """Source or mixture name -> weight: its share of tokens, relative to the others."""

    learning_rate: Schedule
    """Learning rate over the steps of this stage."""

    optimizer: Literal["keep", "reset"] | None = None
    """Whether the optimizer state of the stage before is kept. Needed in every stage
    but the first, where there is none."""

    batch: Batch | None = None
    """Overrides the experiment's batch in this stage."""
