"""The stages part of a spec: batches, learning rates, what carries over."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from specs.base import Value
from specs.data import Name, Weights
from specs.quantities import Count

Rate = Annotated[float, Field(ge=0)] | Literal["previous"]
"""A learning rate, or the last one of the stage before."""


class _Schedule(Value):
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of linear rise from `warmup_from` to `peak`; the last of them has `peak`."""

    warmup_from: Rate = 0.0
    """Where the warm-up starts from."""

    peak: Rate
    """The highest rate; `previous` takes over the last rate of the stage before."""


class Constant(_Schedule):
    """The peak, to the end."""

    schedule: Literal["constant"]


class Cosine(_Schedule):
    """Half a cosine from the peak to the final rate."""

    schedule: Literal["cosine"]
    final: Annotated[float, Field(ge=0)]
    """Rate of the last step."""


class Linear(_Schedule):
    """A straight line from the peak to the final rate."""

    schedule: Literal["linear"]
    final: Annotated[float, Field(ge=0)]
    """Rate of the last step."""


class WarmupStableDecay(_Schedule):
    """The peak until `decay_steps` before the end, then down to the final rate."""

    schedule: Literal["warmup_stable_decay"]
    decay_steps: Annotated[int, Field(gt=0)]
    """Steps of decay at the end of the stage."""
    decay: Literal["linear", "cosine", "sqrt"] = "linear"
    """Shape of the decay; `sqrt` falls with one minus the root of the progress."""
    final: Annotated[float, Field(ge=0)]
    """Rate of the last step."""


Schedule = Annotated[
    Constant | Cosine | Linear | WarmupStableDecay, Field(discriminator="schedule")
]


class Batch(Value):
    """What one optimizer step sees."""

    sequences: Annotated[int, Field(gt=0)]
    """Sequences per step, over all devices."""

    length: Annotated[int, Field(gt=1)]
    """Tokens per sequence."""

    lane: Annotated[int, Field(gt=0)]
    """Sequences per lane: the slice whose arithmetic never depends on the number of
    devices. `sequences / lane` is a power of two, and the most devices that can share
    the batch. Default: an eighth of the sequences, or as near as divides them."""

    accumulation: Annotated[int, Field(gt=0)] = 1
    """Lanes that each device works through at least, one after another; a power of
    two. It bounds memory and devices and changes no number."""

    @model_validator(mode="before")
    @classmethod
    def _default_lane(cls, data: object) -> object:
        if isinstance(data, dict) and "lane" not in data:
            sequences = data.get("sequences")
            if isinstance(sequences, int) and sequences > 0:
                num_lanes = min(8, sequences & -sequences)
                return {**data, "lane": sequences // num_lanes}
        return data

    @model_validator(mode="after")
    def _lanes_are_a_power_of_two(self) -> Self:
        if self.sequences % self.lane:
            raise ValueError(
                f"sequences must be a multiple of lane, got {self.sequences} "
                f"and {self.lane}"
            )
        num_lanes = self.sequences // self.lane
        if num_lanes & (num_lanes - 1):
            raise ValueError(
                f"sequences / lane must be a power of two, got {num_lanes}"
            )
        if self.accumulation & (self.accumulation - 1):
            raise ValueError(
                f"accumulation must be a power of two, got {self.accumulation}"
            )
        if self.accumulation > num_lanes:
            raise ValueError(
                f"accumulation must be at most sequences / lane = {num_lanes}, "
                f"got {self.accumulation}"
            )
        return self


class Stage(Value):
    """A span of training with one mixture and one learning-rate schedule."""

    name: Name
    """Unique in the experiment."""

    tokens: Count
    """Tokens to train on, such as 200B; rounded down to whole steps."""

    mixture: Weights
    """Source or mixture name -> weight, a share of tokens."""

    learning_rate: Schedule
    """Learning rate over the steps of this stage."""

    optimizer: Literal["keep", "reset"] | None = None
    """Whether the optimizer state of the stage before is kept. Needed in every stage
    but the first, where there is none."""

    batch: Batch | None = None
    """Overrides the experiment's batch in this stage."""
