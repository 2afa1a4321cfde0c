"""Where a replay parts from its original, and what kind of thing that points to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ledger.entry import Entry
from ledger.recorder import Channel

Cause = Literal[
    "input pipeline",
    "initialisation",
    "learning rate",
    "update",
    "arithmetic",
    "resume seam",
    "checkpoint",
    "evaluation",
    "reporting",
    "plan",
]
"""input pipeline  the batch differs: the data or its order
initialisation  the weights before the first step differ
learning rate   the same batch and state, another learning rate
update          the same batch, loss and gradient norm, another update
arithmetic      the same batch and state before, another result
resume seam     arithmetic, at a step where the original went on in another process
checkpoint      weights as recorded by their fingerprint, tensors on disk that are not
evaluation      the same weights, other scores
reporting       the same weights at every step, another number beside them
plan            a stage starts, ends or is identified elsewhere"""

Metrics = Mapping[str, str] | None

_CAUSES: dict[Channel, Cause] = {
    "batch": "input pipeline",
    "metrics": "reporting",
    "stage": "plan",
    "tensors": "checkpoint",
    "scores": "evaluation",
}

_NAMED_TENSORS = 3


class Parting(NamedTuple):
    """A difference between what happens and what is recorded."""

    step: int
    channel: Channel
    name: str
    """Of the stage, tensor, suite or metric; empty of a batch and of weights."""
    was: object
    now: object
    cause: Cause
    tensors: tuple[str, ...] = ()
    """Those that differ, as far as known."""
    num_tensors: int | None = None
    """How many there are; null if not known."""

    @property
    def what(self) -> str:
        """The difference in one sentence."""
        where = f"{self.channel} {self.name}" if self.name else self.channel
        told = f"diverged at step {self.step}: {where} was {self.was}, is {self.now}"
        if self.channel == "weights":
            told += f"; {self._of_weights()}"
        return f"{told}; cause: {self.cause}"

    def _of_weights(self) -> str:
        if self.cause == "initialisation":
            shared = "before the first step already"
        else:
            shared = "same batch, other weights"
        if not self.tensors:
            return shared
        return f"{shared}: {named(self.tensors, self.num_tensors)}"


def named(tensors: tuple[str, ...], total: int | None) -> str:
    """Name some tensors and count the others.

    >>> named(("a", "b", "c", "d", "e"), 11)
    'a, b, c and 2 more of 11 tensors'
    >>> named(("a",), 11)
    'a of 11 tensors'
    """
    told = ", ".join(tensors[:_NAMED_TENSORS])
    more = len(tensors) - _NAMED_TENSORS
    if more > 0:
        told += f" and {more} more"
    return told if total is None else f"{told} of {total} tensors"


def cause_of(channel: Channel) -> Cause:
    """Return what a difference in any channel but the weights points to."""
    return _CAUSES[channel]


def cause_in_weights(entry: Entry, step: int, was: Metrics, now: Metrics) -> Cause:
    """Return what other weights after the same batch and state point to.

    Args:
        entry: The original.
        step: The first that differs.
        was: The metrics of that step in the original; null if not logged.
        now: Those of the replay.
    """
    rates = _both("learning_rate", was, now)
    if rates is not None and rates[0] != rates[1]:
        return "learning rate"
    if step in seams_of(entry):
        return "resume seam"
    pairs = [_both(name, was, now) for name in ("loss", "grad_norm")]
    if all(pair is not None and pair[0] == pair[1] for pair in pairs):
        return "update"
    return "arithmetic"


def seams_of(entry: Entry) -> set[int]:
    """Return the first steps of processes that went on from a state of another."""
    seams = {seam.step for seam in entry.seams if seam.step > 0}
    for before, after in zip(entry.stages, entry.stages[1:], strict=False):
        if before.reused_from != after.reused_from:
            seams.add(after.start_step)
    return seams


def _both(name: str, was: Metrics, now: Metrics) -> tuple[str, str] | None:
    if was is None or now is None or name not in was or name not in now:
        return None
    return was[name], now[name]
