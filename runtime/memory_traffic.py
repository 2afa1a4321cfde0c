"""How many bytes a compiled program reads from and writes to a device's memory.

Every instruction outside of a fusion reads its operands and writes its result, in full
but for slices: of an array that is only sliced, or updated in part, the part counts.
What the compiler keeps in a chip's fast memory counts for nothing. A kernel that reads
an operand several times is taken to read it once.
"""

from __future__ import annotations

import re

from runtime.hlo import Computation, Instruction, Program, shape_bytes
from runtime.hlo_loops import Runs

_FREE = frozenset(
    {
        *("after-all", "bitcast", "call", "conditional", "constant", "domain"),
        *("get-tuple-element", "opt-barrier", "parameter", "partition-id"),
        *("replica-id", "tuple", "while", "iota"),
    }
)
_SLICES = frozenset({"dynamic-slice", "gather", "slice", "slice-start"})
_ALIAS = re.compile(r"\{(\d+)\}: \((\d+)")
_ARRAYS = re.compile(r"[a-z]+\d*\w*\[[\d,]*\](?:\{[^}]*\})?")
_VIEWS = frozenset({"bitcast", "reshape", "convert", "copy"})


def memory_traffic(program: Program, runs: Runs) -> int:
    """Return the bytes that one device moves in one run of the program."""
    inside = program.called_by("fusion", "async-start", "async-update", "async-done")
    return sum(
        runs.of.get(computation.name, 0)
        * sum(
            _traffic(program, computation, one)
            for one in computation.instructions.values()
        )
        for computation in program.computations.values()
        if computation.name not in inside
    )


def _traffic(program: Program, where: Computation, one: Instruction) -> int:
    operation = one.operation
    # The start of something asynchronous has counted it.
    if operation in _FREE or operation.endswith("-done"):
        return 0
    if operation in _SLICES:
        # Of what a start returns, the first is the operand.
        shape = _without_operand(where, one)
        return shape_bytes(shape, slow_only=True) + _slow(where, one, shape)
    if operation == "dynamic-update-slice":
        return 2 * _bytes_of(where, one.operands[1])
    if operation == "fusion":
        return _fusion_traffic(program, where, one)
    if operation.endswith("-start"):
        return sum(_bytes_of(where, name) for name in one.operands) + shape_bytes(
            _without_operand(where, one), slow_only=True
        )
    read = sum(_bytes_of(where, name) for name in one.operands)
    return read + shape_bytes(one.shape, slow_only=True)


def _slow(where: Computation, one: Instruction, shape: str) -> int:
    """Return what a slice reads: as much as it makes, if its operand is in memory."""
    is_slow = _bytes_of(where, one.operands[0]) > 0
    return shape_bytes(shape) if is_slow else 0


def _without_operand(where: Computation, one: Instruction) -> str:
    """Return the shape of what an operation makes, without operands in its tuple."""
    if not one.operation.endswith("-start"):
        return one.shape
    given = where.instructions[one.operands[0]].shape
    return one.shape.replace(given, "", 1)


def _fusion_traffic(program: Program, where: Computation, one: Instruction) -> int:
    inner = program.computations[one.called[0]]
    if one.name.startswith("async-collective-done"):
        return 0
    if "async_collective_fusion" in inner.name:
        return _traffic_beside_collective(where, one)
    total = 0
    for number, name in enumerate(one.operands):
        whole = _bytes_of(where, name)
        total += min(whole, _part_read(inner, number, whole))
    return total + _part_written(inner, one)


def _traffic_beside_collective(where: Computation, one: Instruction) -> int:
    """Return what goes on beside a collective, whose own buffers pass through.

    Those are results that are operands too; the collective's start has counted them.
    """
    passing = _ALIAS.findall(one.attributes)
    results = {int(result) for result, _ in passing}
    operands = {int(operand) for _, operand in passing}
    read = sum(
        _bytes_of(where, name)
        for number, name in enumerate(one.operands)
        if number not in operands
    )
    shapes = _ARRAYS.findall(one.shape)
    return read + sum(
        shape_bytes(shape, slow_only=True)
        for number, shape in enumerate(shapes)
        if number not in results
    )


def _part_read(inner: Computation, number: int, whole: int) -> int:
    """Return what a fusion reads of an operand: its slices, if it is only sliced."""
    names = {
        one.name
        for one in inner.instructions.values()
        if one.operation == "parameter" and one.argument == str(number)
    }
    part = 0
    for one in inner.instructions.values():
        if not names & set(one.operands):
            continue
        if one.operation in ("bitcast", "reshape"):
            names.add(one.name)
        elif one.operation in _SLICES and one.operands[0] in names:
            part += shape_bytes(one.shape)
        elif one.operation == "dynamic-update-slice" and one.operands[0] in names:
            continue
        else:
            return whole
    return part


def _part_written(inner: Computation, one: Instruction) -> int:
    """Return what a fusion writes: the update alone, of what it updates in place."""
    root = inner.instructions[inner.root]
    ends = root.operands if root.operation == "tuple" else (root.name,)
    written = 0
    for name in ends:
        end = inner.instructions[name]
        while end.operation in _VIEWS and end.operands:
            end = inner.instructions[end.operands[0]]
        if end.operation == "dynamic-update-slice":
            written += shape_bytes(inner.instructions[end.operands[1]].shape)
        else:
            written += shape_bytes(inner.instructions[name].shape)
    # Shapes inside of a fusion do not say where they lie; those of its result do.
    slow, whole = shape_bytes(one.shape, slow_only=True), shape_bytes(one.shape)
    return written * slow // whole if whole else 0


def _bytes_of(where: Computation, name: str) -> int:
    return shape_bytes(where.instructions[name].shape, slow_only=True)
