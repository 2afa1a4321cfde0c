r"""The step trace: fingerprints of batch and weights at every step, chained.

A trace is a text file of lines of one length, so any step is found at once:

    step (12 digits) batch (32 hex) weights (32 hex) chain (64 hex)

where `chain = SHA-256(chain of the line before + the line's other fields)`, and the
first line follows the SHA-256 of the header. Two traces are equal up to a step exactly
when their chains are equal there, so the first difference is found by bisection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from specs.errors import CheckFailed

HEADER = b"codemix trace 1\n"

_LINE = re.compile(rb"([0-9]{12}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{64})\n")
_LINE_BYTES = 12 + 1 + 32 + 1 + 32 + 1 + 64 + 1


class TraceRecord(NamedTuple):
    """What one step left behind."""

    step: int
    batch: str
    weights: str


class TraceDifference(NamedTuple):
    """Where two traces part."""

    step: int
    channel: Literal["batch", "weights", "length"]
    """`batch`: other data; `weights`: other arithmetic on the same data; `length`: one
    of the traces ends before this step."""


class Trace:
    """An unbroken span of steps; see the module for its bytes."""

    def __init__(self, data: bytes, *, name: str = "trace") -> None:
        """Check every line and the chain.

        Args:
            data: As `encode_trace` made it.
            name: What errors call it.

        Raises:
            CheckFailed: A line is malformed, out of order, or breaks the chain.
        """
        self.data = data
        self._num_steps, rest = divmod(len(data) - len(HEADER), _LINE_BYTES)
        if not data.startswith(HEADER) or rest:
            raise _damaged(name, "it isn't a whole trace")
        self.start_step = 0
        chain = _first_chain()
        for index in range(self._num_steps):
            line = self._line(index)
            match = _LINE.fullmatch(line)
            if match is not None and index == 0:
                self.start_step = int(match[1])
            if match is None or int(match[1]) != self.start_step + index:
                raise _damaged(name, f"line {index + 2} is malformed or out of order")
            chain = _next_chain(chain, line[:-66])
            if chain != match[4]:
                raise _damaged(name, f"the chain breaks at step {int(match[1])}")
        self.head = chain.decode()
        """The last link: it stands for every step."""

    def __len__(self) -> int:
        return self._num_steps

    @property
    def stop_step(self) -> int:
        """One past the last step."""
        return self.start_step + self._num_steps

    def at(self, step: int) -> TraceRecord:
        """Return what a step of the whole run left behind.

        Raises:
            IndexError: The step is outside the trace.
        """
        if not self.start_step <= step < self.stop_step:
            raise IndexError(f"step {step} is outside the trace")
        fields = self._line(step - self.start_step).split()
        return TraceRecord(step, fields[1].decode(), fields[2].decode())

    def chain_at(self, step: int) -> str:
        """Return the link that stands for all steps up to and with this one."""
        return self._line(step - self.start_step)[-65:-1].decode()

    def _line(self, index: int) -> bytes:
        start = len(HEADER) + index * _LINE_BYTES
        return self.data[start : start + _LINE_BYTES]


def encode_trace(records: Iterable[TraceRecord]) -> bytes:
    """Write records of consecutive steps as the bytes of a trace."""
    lines = bytearray(HEADER)
    chain = _first_chain()
    for step, batch, weights in records:
        fields = f"{step:012d} {batch} {weights}".encode()
        chain = _next_chain(chain, fields)
        lines += fields + b" " + chain + b"\n"
    return bytes(lines)


def first_difference(left: Trace, right: Trace) -> TraceDifference | None:
    """Find the first step at which two traces differ, in logarithmic time.

    Both start at the same step; a chain tells whether everything before is equal.

    Raises:
        ValueError: The traces start at different steps.
    """
    if len(left) and len(right) and left.start_step != right.start_step:
        raise ValueError("traces start at different steps")
    start_step = (left if len(left) else right).start_step
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high) // 2
        step = start_step + middle
        if left.chain_at(step) == right.chain_at(step):
            low = middle + 1
        else:
            high = middle
    step = start_step + low
    if low == min(len(left), len(right)):
        return None if len(left) == len(right) else TraceDifference(step, "length")
    is_same_batch = left.at(step).batch == right.at(step).batch
    return TraceDifference(step, "weights" if is_same_batch else "batch")


def _first_chain() -> bytes:
    return hashlib.sha256(HEADER).hexdigest().encode()


def _next_chain(chain: bytes, fields: bytes) -> bytes:
    return hashlib.sha256(chain + fields).hexdigest().encode()


def _damaged(name: str, what: str) -> CheckFailed:
    return CheckFailed(f"{name} was changed after it was recorded: {what}")
