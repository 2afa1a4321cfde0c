"""What the compiler says of one training step for one slice: jobs and answers.

Light: the compiler itself runs in a process of its own, `runtime.compile_task`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from specs.plan import Plan

Gather = Literal["step", "layer"]

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE = r"([\d.]+)([KMGT]?)B?"
_REFUSALS = (
    # The part of the compiler that looks first counts temporaries alone.
    re.compile(rf"temporaries \({_SIZE}\) exceeds available HBM \({_SIZE}\)"),
    re.compile(rf"Used {_SIZE} of {_SIZE} hbm"),
    re.compile(rf"allocat\w+ {_SIZE}[^.]*? of {_SIZE}"),
)
_LARGE_BUFFER = re.compile(
    rf"Size: {_SIZE}\s+(?:Operator: op_name=\"(?P<source>[^\"]*)\".*?)?"
    r"Shape: (?P<shape>\S+)",
    re.DOTALL,
)
MOST_BUFFERS = 5
"""Of the largest buffers, how many are told."""


@dataclass(frozen=True, kw_only=True)
class CompileJob:
    """One training step to compile for one slice."""

    plan: Plan
    stage: int
    slice_name: str
    slices: int
    gather: Gather

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, for the process that compiles."""
        return {**vars(self), "plan": self.plan.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` made."""
        return cls(**{**values, "plan": Plan.model_validate(values["plan"])})


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The collectives of one kind, over one step."""

    bytes: int
    """What one device sends."""
    seconds: float
    """On the slice's links at their full bandwidth."""


@dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """What a compiled step takes, per device."""

    argument_bytes: int
    """The state and the batch, between steps too."""
    temporary_bytes: int
    """Everything else that exists at the same time, and the program."""
    peak_bytes: int
    traffic_bytes: int
    """Read from and written to memory, over one step."""
    cycles: int
    """Of the operations that the compiler made itself, by its own estimate, over one
    step. Kernels that it is handed are not in it."""
    kernels: int
    """Calls of kernels that the compiler was handed, over one step."""
    collectives: dict[str, Moved]
    """Kind -> bytes and time."""
    unknown_loops: int
    """Loops whose turns are not known; they count once."""
    seconds: float
    """That compiling took."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` made."""
        moved = {kind: Moved(**one) for kind, one in values["collectives"].items()}
        return cls(**{**values, "collectives": moved})


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A step that the compiler found no room for."""

    needed_bytes: int
    """At least: some of its checks stop counting early."""
    limit_bytes: int
    largest: tuple[str, ...] = ()
    """The largest buffers, where the compiler lists them."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**asdict(self), "largest": list(self.largest)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` made."""
        return cls(**{**values, "largest": tuple(values["largest"])})


def parse_refusal(message: str) -> Refusal | None:
    """Read how much memory a step would need; None if it says something else.

    >>> told = "temporaries (20.50G) exceeds available HBM (15.75G)."
    >>> parse_refusal(told).needed_bytes / 2**30
    20.5
    """
    for pattern in _REFUSALS:
        if found := pattern.search(message):
            return Refusal(
                needed_bytes=_size(found[1], found[2]),
                limit_bytes=_size(found[3], found[4]),
                largest=_largest(message),
            )
    return None


def _size(number: str, unit: str) -> int:
    return round(float(number) * _UNITS[unit])


def _largest(message: str) -> tuple[str, ...]:
    return tuple(
        " ".join(
            part for part in (f"{one[1]}{one[2]}", one["shape"], one["source"]) if part
        )
        for one in list(_LARGE_BUFFER.finditer(message))[:MOST_BUFFERS]
    )
