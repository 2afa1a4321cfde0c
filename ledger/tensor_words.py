r"""A 32-bit word per tensor at every step: which tensors parted, not that some did.

A text file of lines of one length after the third, so any step is found at once:

    codemix tensor words 1
    names of the tensors, sorted, one space between them
    initial WORDS                        of the weights before the run's first update;
                                         `initial -` in all stages but the first
    step (12 digits) WORDS               of the weights after the step

WORDS has 8 hex digits per tensor. A word is the first of the four sums of the tensor's
own fingerprint. The fingerprint of all weights is the sum over tensors, so the words of
a step add up, modulo 2**32, to the first 8 digits of its weights in the trace: words
that were changed by themselves are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ledger.trace import Trace
from specs.errors import CheckFailed

HEADER = b"codemix tensor words 1\n"

_DIGITS = 8


class WordsRecord(NamedTuple):
    """The words of one step, as hex digits."""

    step: int
    after: str
    initial: str | None = None
    """Before the step; of the run's first step alone."""


class TensorWords:
    """The words of consecutive steps; see the module for their bytes."""

    def __init__(self, data: bytes, *, name: str = "tensor words") -> None:
        """Check the shape of every line.

        Args:
            data: As `encode_words` made it.
            name: What errors call it.

        Raises:
            CheckFailed: It is not a whole file of words.
        """
        self._name = name
        header, _, rest = data.partition(b"\n")
        names, _, rest = rest.partition(b"\n")
        initial, _, self._lines = rest.partition(b"\n")
        self.names = tuple(names.decode().split())
        """Of the tensors, sorted."""
        found = initial.decode().removeprefix("initial ")
        self.initial = None if found == "-" else found
        """Before the run's first step; null where the file starts later."""
        self._line_bytes = 12 + 1 + _DIGITS * len(self.names) + 1
        self._num_steps, left_over = divmod(len(self._lines), self._line_bytes)
        if header + b"\n" != HEADER or left_over:
            raise _damaged(name, "it isn't a whole file")
        self.start_step = int(self._lines[:12]) if self._num_steps else 0

    def __len__(self) -> int:
        return self._num_steps

    def at(self, step: int) -> str:
        """Return the words after a step of the whole run.

        Raises:
            IndexError: The step is not in the file.
        """
        index = step - self.start_step
        if not 0 <= index < self._num_steps:
            raise IndexError(f"step {step} is outside the words")
        line = self._lines[index * self._line_bytes :][: self._line_bytes].decode()
        return line[13:-1]

    def check(self, trace: Trace) -> None:
        """Check that the words are of the weights in a trace.

        Raises:
            CheckFailed: They aren't.
        """
        if (len(self), self.start_step) != (len(trace), trace.start_step):
            raise _damaged(self._name, "it has other steps than the trace")
        for step in range(trace.start_step, trace.stop_step):
            if total_of(self.at(step)) != trace.at(step).weights[:_DIGITS]:
                raise _damaged(self._name, f"step {step} does not add up")


def encode_words(names: Sequence[str], records: Iterable[WordsRecord]) -> bytes:
    """Write the words of consecutive steps as the bytes of a file."""
    known = list(records)
    initial = known[0].initial if known else None
    lines = [HEADER, " ".join(names).encode() + b"\n"]
    lines.append(f"initial {initial or '-'}\n".encode())
    lines += [f"{one.step:012d} {one.after}\n".encode() for one in known]
    return b"".join(lines)


def total_of(words: str) -> str:
    """Add words up, modulo 2**32.

    >>> total_of("00000001ffffffff")
    '00000000'
    """
    return f"{sum(_split(words)) % 2**32:08x}"


def differing(names: Sequence[str], was: str, now: str) -> tuple[str, ...]:
    """Name the tensors whose words differ.

    >>> differing(("embed", "output"), "00000001ffffffff", "0000000100000000")
    ('output',)
    """
    pairs = zip(names, _split(was), _split(now), strict=True)
    return tuple(name for name, old, new in pairs if old != new)


def _split(words: str) -> list[int]:
    return [int(words[at : at + _DIGITS], 16) for at in range(0, len(words), _DIGITS)]


def _damaged(name: str, what: str) -> CheckFailed:
    return CheckFailed(f"{name} was changed after it was recorded: {what}")
