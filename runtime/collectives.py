"""What a compiled program moves between devices: the collectives, by kind and bytes.

Bytes are what one device sends over one run of the program, by the usual lower bound of
each kind. With a group of n devices and x bytes that go into the operation per device:

    all-gather           x (n - 1)
    reduce-scatter       x (n - 1) / n
    all-reduce           x 2 (n - 1) / n
    all-to-all           x (n - 1) / n
    collective-permute   x
    between-slices       x

The last are the messages into which the TPU compiler takes apart what goes from one
slice to another, over the network.

A start and its done are one collective; those in a loop count as often as it turns. The
TPU compiler also fuses one collective with what goes on at the same time, piece by
piece: all its pieces have one channel, and are one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from runtime.hlo import Computation, Instruction, Program, shape_bytes
from runtime.hlo_loops import Runs

BETWEEN_SLICES = "between-slices"

KINDS = (
    *("all-gather", "reduce-scatter", "all-reduce"),
    *("all-to-all", "collective-permute"),
)

Groups = tuple[tuple[int, ...], ...]
"""Devices, by their place in the mesh; of a permute, pairs of sender and receiver."""

_PAIR = re.compile(r"\{(\d+),(\d+)\}")
_ONE_GROUP = re.compile(r"\{([\d,]*)\}")
_IOTA = re.compile(
    r"replica_groups=\[(?P<shape>[\d,]+)\]<=\[(?P<from>[\d,]+)\]"
    r"(?:T\((?P<order>[\d,]+)\))?"
)


@dataclass(frozen=True, kw_only=True)
class Collective:
    """One collective operation of a program."""

    kind: str
    name: str
    source_name: str
    """Where it comes from, as the traced function names it."""
    sent_bytes: int
    """What one device sends each time."""
    runs: int
    """Times that it runs in one run of the program."""
    groups: Groups

    @property
    def total_bytes(self) -> int:
        """Bytes that one device sends in one run of the program."""
        return self.sent_bytes * self.runs


def find_collectives(program: Program, runs: Runs) -> tuple[Collective, ...]:
    """Return the collectives of a program that run at all."""
    fused = program.called_by("fusion")
    found: list[Collective] = []
    seen: set[tuple[str | None, str]] = set()
    for computation in program.computations.values():
        times = runs.of.get(computation.name, 0)
        for one in computation.instructions.values():
            if not times or not _is_collective(one):
                continue
            key = (one.attribute("channel_id"), one.shape)
            if computation.name in fused and key in seen:
                continue
            if computation.name in fused:
                seen.add(key)
            found.append(_collective(program, computation, one, times))
    return tuple(found)


def bytes_by_kind(collectives: Iterable[Collective]) -> dict[str, int]:
    """Return kind -> bytes that one device sends in one run of the program."""
    totals: dict[str, int] = {}
    for one in collectives:
        totals[one.kind] = totals.get(one.kind, 0) + one.total_bytes
    return dict(sorted(totals.items()))


def _is_collective(one: Instruction) -> bool:
    if one.operation == "send":
        return "xla_megascale_runtime" in one.attributes
    return one.operation.removesuffix("-start") in KINDS


def _collective(
    program: Program, computation: Computation, one: Instruction, times: int
) -> Collective:
    kind = one.operation.removesuffix("-start")
    given = sum(
        shape_bytes(computation.instructions[name].shape) for name in one.operands
    )
    # The TPU compiler writes a reduce-scatter as an all-reduce, fused with the slice
    # that each device keeps.
    if kind == "all-reduce" and "all-reduce-scatter" in computation.name:
        kind = "reduce-scatter"
    if kind == "send":
        kind = BETWEEN_SLICES
    permute = kind == "collective-permute"
    groups = _pairs(one) if permute else _groups(one, program.num_devices)
    size = max((len(group) for group in groups), default=1)
    return Collective(
        kind=kind,
        name=one.name,
        source_name=one.source_name,
        sent_bytes=_sent_bytes(kind, given, size),
        runs=times,
        groups=groups,
    )


def _sent_bytes(kind: str, given: int, size: int) -> int:
    if kind in ("collective-permute", BETWEEN_SLICES):
        return given
    if kind == "all-gather":
        return given * (size - 1)
    passes = 2 if kind == "all-reduce" else 1
    return passes * given * (size - 1) // size


def _pairs(one: Instruction) -> Groups:
    found = re.search(r"source_target_pairs=\{(.*?)\}\}", one.attributes)
    return _ints(_PAIR.findall(found[1] + "}")) if found else ()


def _groups(one: Instruction, num_devices: int) -> Groups:
    """Return the groups, written out or as a transposed range of numbers."""
    if iota := _IOTA.search(one.attributes):
        shape, start = _numbers(iota["shape"]), _numbers(iota["from"])
        devices = np.arange(math.prod(start)).reshape(start)
        if iota["order"]:
            devices = devices.transpose(_numbers(iota["order"]))
        return _ints(devices.reshape(shape).tolist())
    found = re.search(r"replica_groups=\{((?:\{[\d,]*\},?)*)\}", one.attributes)
    listed = _ONE_GROUP.findall(found[1]) if found else []
    if not listed:
        return (tuple(range(num_devices)),)
    return _ints(_numbers(group) for group in listed)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _ints(groups: Iterable[Iterable[int | str]]) -> Groups:
    return tuple(tuple(int(device) for device in group) for group in groups)
