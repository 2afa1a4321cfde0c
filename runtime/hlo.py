"""A compiled program as XLA prints it: computations, instructions, shapes.

Only what is needed to count: names, operation, operands, shapes and attributes of each
instruction, and which computations it runs. Nothing is interpreted here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

_BITS = {
    "pred": 8,
    **dict.fromkeys(("s2", "u2"), 2),
    **dict.fromkeys(("s4", "u4"), 4),
    **dict.fromkeys(("s8", "u8"), 8),
    **dict.fromkeys(("s16", "u16", "f16", "bf16"), 16),
    **dict.fromkeys(("s32", "u32", "f32"), 32),
    **dict.fromkeys(("s64", "u64", "f64", "c64"), 64),
    "c128": 128,
}
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_NAME = re.compile(r"%?([\w.\-]+)")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_STATEMENT = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_FAST_MEMORY = re.compile(r"S\([1-9]\d*\)")
_CALLED = re.compile(r"\b(calls|body|condition|to_apply|\w+_computations?)=")


@dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    operation: str
    shape: str
    """As printed: one array, or a tuple of them in parentheses."""
    operands: tuple[str, ...]
    argument: str
    """What is between the parentheses, as printed: the value of a constant, the number
    of a parameter, or the operands."""
    attributes: str
    """What follows the operands."""

    def attribute(self, key: str) -> str | None:
        """Return a plain attribute, up to the next comma, such as `index`."""
        found = re.search(rf"\b{key}=([^,\s]+)", self.attributes)
        return found[1] if found else None

    @property
    def source_name(self) -> str:
        """Return the name that the traced function gave it, or an empty string."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1].replace("\\'", "'") if found else ""

    @property
    def called(self) -> tuple[str, ...]:
        """Return the computations that it runs, without those that combine numbers."""
        return tuple(
            name
            for match in _CALLED.finditer(self.attributes)
            if match[1] != "to_apply" or self.operation == "call"
            for name in _names_at(self.attributes, match.end())
        )


@dataclass(frozen=True)
class Computation:
    """A list of instructions, in order."""

    name: str
    instructions: dict[str, Instruction] = field(default_factory=dict)
    root: str = ""


@dataclass(frozen=True)
class Program:
    """All computations of a compiled program."""

    computations: dict[str, Computation]
    entry: str
    num_devices: int

    def called_by(self, *operations: str) -> set[str]:
        """Return the computations that instructions of some operations run."""
        return {
            called
            for computation in self.computations.values()
            for one in computation.instructions.values()
            if one.operation in operations
            for called in one.called
        }


def parse_program(text: str) -> Program:
    """Read what `compiled.as_text()` prints."""
    computations: dict[str, Computation] = {}
    entry = ""
    name, root, body = "", "", dict[str, Instruction]()
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name, root, body = head[2], "", {}
            entry = name if head[1] else entry
        elif line.startswith("}"):
            computations[name] = Computation(name, body, root)
        elif statement := _STATEMENT.match(line):
            body[statement[2]] = _parse_instruction(statement[2], statement[3])
            root = statement[2] if statement[1] else root
    header = text.split("\n", 1)[0]
    return Program(computations, entry, _count(header, "num_partitions"))


def shape_bytes(shape: str, *, slow_only: bool = False) -> int:
    """Return the bytes of an array, or of all arrays of a tuple.

    Args:
        shape: As printed.
        slow_only: Leave out what the compiler has put in a chip's fast memory.

    >>> shape_bytes("(bf16[2,3]{1,0:T(8,128)S(1)}, f32[])")
    16
    >>> shape_bytes("(bf16[2,3]{1,0:T(8,128)S(1)}, f32[])", slow_only=True)
    4
    """
    return sum(
        bits * count // 8
        for bits, count, is_fast in _arrays(shape)
        if not (slow_only and is_fast)
    )


def _arrays(shape: str) -> list[tuple[int, int, bool]]:
    found = []
    for kind, sizes, layout in _ARRAY.findall(shape):
        # Eight-bit floats have many names; tokens and such have no size.
        bits = _BITS.get(kind, 8 if kind.startswith("f8") else 0)
        count = math.prod(int(size) for size in sizes.split(",") if size)
        found.append((bits, count, bool(_FAST_MEMORY.search(layout))))
    return found


def _parse_instruction(name: str, rest: str) -> Instruction:
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:end], rest[end:].lstrip()
    start = rest.index("(")
    stop = _closing(rest, start)
    inside = rest[start + 1 : stop]
    return Instruction(
        name=name,
        operation=rest[:start],
        shape=shape,
        operands=tuple(re.findall(r"%([\w.\-]+)", inside)),
        argument=inside,
        attributes=rest[stop + 1 :],
    )


def _closing(text: str, start: int) -> int:
    """Return where the parenthesis that opens at `start` is closed."""
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth == 0:
            return index
    return len(text) - 1


def _names_at(text: str, start: int) -> list[str]:
    if text[start : start + 1] == "{":
        return _NAME.findall(text[start + 1 : text.index("}", start)])
    found = _NAME.match(text, start)
    return [found[1]] if found else []


def _count(header: str, key: str) -> int:
    found = re.search(rf"\b{key}=(\d+)", header)
    return int(found[1]) if found else 1
