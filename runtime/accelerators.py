"""Accelerators by the names that one orders them by, and what their datasheets say.

A name such as `v5e-256` is a TPU slice: chips on a grid, each joined to its neighbours;
`2xv5e-256` is two of them, joined by a network. `8xh100` is GPUs, eight to a node, each
node round a switch. Numbers are the makers'; how much of them a training step reaches
is stated in `runtime.roofline`.

Cloud TPU counts chips in the names of v5e and v6e, and TensorCores, two to a chip, in
those of v4 and v5p.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from specs.errors import InputError
from specs.names import suggestion

GIB = 1024**3

Grid = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One chip's datasheet. Bandwidths are bytes per second, one way."""

    kind: Literal["tpu", "gpu"]
    title: str
    flops: float
    """Peak floating-point operations per second on bfloat16."""
    memory_bytes: int
    """HBM that a program may use. Of a TPU, what its compiler allows (libtpu 0.0.42
    says so when it refuses): the datasheet's less what it keeps for itself."""
    memory_bandwidth: float
    links: int
    """Links to neighbours on the grid; of a GPU, 1: its way to the node's switch."""
    link_bandwidth: float
    """Of each link."""
    network_bandwidth: float
    """Of a chip's share of the network beyond its slice, or beyond its node."""
    clock: float = 0.0
    """Cycles per second of a TensorCore: peak operations by those of a cycle."""
    names_per_chip: int = 1
    """What a slice's name counts, per chip."""
    devices: int = 1
    """Devices that the compiler makes of a chip. It has no topology with a v4's two
    TensorCores joined, as jax joins them by default; each has half of the chip."""


CHIPS = {
    "v4": Chip(
        kind="tpu",
        title="TPU v4",
        flops=275e12,
        memory_bytes=2 * (15 * GIB + GIB // 4),
        memory_bandwidth=1200e9,
        links=6,
        link_bandwidth=50e9,
        network_bandwidth=3.1e9,
        names_per_chip=2,
        clock=1.05e9,
        devices=2,
    ),
    "v5e": Chip(
        kind="tpu",
        title="TPU v5e",
        flops=197e12,
        memory_bytes=15 * GIB + 3 * GIB // 4,
        memory_bandwidth=819e9,
        links=4,
        link_bandwidth=50e9,
        network_bandwidth=3.1e9,
        clock=1.5e9,
    ),
    "v5p": Chip(
        kind="tpu",
        title="TPU v5p",
        flops=459e12,
        memory_bytes=95 * GIB + 3 * GIB // 4,
        memory_bandwidth=2765e9,
        links=6,
        link_bandwidth=100e9,
        network_bandwidth=6.25e9,
        names_per_chip=2,
        clock=1.75e9,
    ),
    "v6e": Chip(
        kind="tpu",
        title="TPU v6e",
        flops=918e12,
        memory_bytes=31 * GIB + GIB // 4,
        memory_bandwidth=1638e9,
        links=4,
        link_bandwidth=100e9,
        network_bandwidth=12.5e9,
        clock=1.75e9,
    ),
    "a100": Chip(
        kind="gpu",
        title="NVIDIA A100 SXM 80 GB",
        flops=312e12,
        memory_bytes=80 * 10**9,
        memory_bandwidth=2039e9,
        links=1,
        link_bandwidth=300e9,
        network_bandwidth=25e9,
    ),
    "h100": Chip(
        kind="gpu",
        title="NVIDIA H100 SXM",
        flops=989e12,
        memory_bytes=80 * 10**9,
        memory_bandwidth=3350e9,
        links=1,
        link_bandwidth=450e9,
        network_bandwidth=50e9,
    ),
    "h200": Chip(
        kind="gpu",
        title="NVIDIA H200 SXM",
        flops=989e12,
        memory_bytes=141 * 10**9,
        memory_bandwidth=4800e9,
        links=1,
        link_bandwidth=450e9,
        network_bandwidth=50e9,
    ),
    "b200": Chip(
        kind="gpu",
        title="NVIDIA B200 SXM",
        flops=2250e12,
        memory_bytes=180 * 10**9,
        memory_bandwidth=7700e9,
        links=1,
        link_bandwidth=900e9,
        network_bandwidth=50e9,
    ),
}
"""Family -> chip. Sources: Cloud TPU's pages per version (a chip's interconnect there
is the sum of its links both ways), NVIDIA's datasheets (dense bfloat16; NVLink halved
to one way; one network card of 200 or 400 Gbit/s per GPU)."""

GPUS_PER_NODE = 8

_FLAT: tuple[Grid, ...] = (
    *((1, 1), (2, 2), (2, 4), (4, 4)),
    *((4, 8), (8, 8), (8, 16), (16, 16)),
)
_CUBIC: tuple[Grid, ...] = (
    *((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), (4, 4, 4), (4, 4, 8)),
    *((4, 8, 8), (8, 8, 8), (8, 8, 16), (8, 16, 16), (16, 16, 16)),
)
_GRIDS = {"v4": _CUBIC[:-1], "v5e": _FLAT, "v5p": _CUBIC, "v6e": _FLAT}
"""Family -> grids of its slices. Those whose number of chips is no power of two are
left out: the batch is spread over powers of two alone."""

_TPU_NAME = re.compile(r"(?:(\d+)x)?(v\d[a-z]?)-(\d+)")
_GPU_NAME = re.compile(r"(?:(\d+)x)?([a-z]+\d+)")


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Chips that one can order under one name."""

    name: str
    family: str
    grid: Grid
    """Chips along each axis; of GPUs, their number alone."""
    count: int = 1
    """TPU slices of that grid, joined by a network. With it a power of two."""

    @property
    def chip(self) -> Chip:
        """The datasheet of each of its chips."""
        return CHIPS[self.family]

    @property
    def num_chips(self) -> int:
        """Chips in all."""
        return math.prod(self.grid) * self.count

    @property
    def num_devices(self) -> int:
        """Devices that a program is spread over."""
        return self.num_chips * self.chip.devices

    @property
    def topology(self) -> str:
        """Return what the TPU compiler calls one of the slices, such as `v5e:4x8`."""
        return f"{self.family}:{'x'.join(map(str, self.grid))}"

    @property
    def rings(self) -> tuple[bool, ...]:
        """Whether the chips at the two ends of each axis are neighbours too.

        Cloud TPU closes the axes of sixteen of the flat families, and all axes of
        whole cubes of 4 x 4 x 4.
        """
        if len(self.grid) == 2:
            return tuple(size == 16 for size in self.grid)
        is_cubes = all(size % 4 == 0 for size in self.grid)
        return (is_cubes,) * len(self.grid)


def parse_slice(name: str) -> Slice:
    """Look a name up, such as `v5e-256` or `8xh100`.

    Raises:
        InputError: No such family, no such size in the family, or a number of slices
            or GPUs that is no power of two.

    >>> parse_slice("v5p-32").topology, parse_slice("16xh100").num_chips
    ('v5p:2x2x4', 16)
    """
    # Cloud TPU's own word for a v5e slice.
    plain = name.strip().lower().replace("v5litepod-", "v5e-")
    tpu, gpu = _TPU_NAME.fullmatch(plain), _GPU_NAME.fullmatch(plain)
    if tpu and tpu[2] in _GRIDS:
        return _several(int(tpu[1] or 1), _tpu_slice(tpu[2], int(tpu[3])))
    if gpu and CHIPS.get(gpu[2]) and CHIPS[gpu[2]].kind == "gpu":
        return _gpu_slice(gpu[2], int(gpu[1] or 1))
    raise InputError(
        f"unknown accelerator {name!r}", path="--on", fix=_nearest_name(plain)
    )


def slices_of(family: str) -> tuple[Slice, ...]:
    """Return the slices of a family, the smallest first; of GPUs, up to 1024."""
    if CHIPS[family].kind == "gpu":
        return tuple(_gpu_slice(family, 2**power) for power in range(11))
    count = CHIPS[family].names_per_chip
    return tuple(_tpu_slice(family, math.prod(grid) * count) for grid in _GRIDS[family])


def _tpu_slice(family: str, number: int) -> Slice:
    per_chip = CHIPS[family].names_per_chip
    for grid in _GRIDS[family]:
        if math.prod(grid) * per_chip == number:
            return Slice(name=f"{family}-{number}", family=family, grid=grid)
    sizes = [math.prod(grid) * per_chip for grid in _GRIDS[family]]
    counted = "" if per_chip == 1 else " (TensorCores, two to a chip)"
    raise InputError(
        f"{family} has no slice of {number}{counted}",
        path="--on",
        fix=f"use one of {', '.join(f'{family}-{size}' for size in sizes)}",
    )


def _several(count: int, one: Slice) -> Slice:
    if count == 1:
        return one
    if count < 1 or count & (count - 1):
        raise InputError(
            f"the number of slices must be a power of two, got {count}",
            path="--on",
            fix=f"use 2x{one.name}, 4x{one.name}, ...",
        )
    return replace(one, name=f"{count}x{one.name}", count=count)


def _gpu_slice(family: str, number: int) -> Slice:
    if number < 1 or number & (number - 1):
        raise InputError(
            f"the number of GPUs must be a power of two, got {number}",
            path="--on",
            fix=f"use 1x{family}, 2x{family}, 4x{family}, 8x{family}, ...",
        )
    return Slice(name=f"{number}x{family}", family=family, grid=(number,))


def _nearest_name(plain: str) -> str:
    known = [one.name for family in CHIPS for one in slices_of(family)]
    close = suggestion(plain, known)
    if close is not None:
        return f"did you mean {close!r}?"
    families = ", ".join(f"{one}-N" for one in _GRIDS)
    gpus = ", ".join(f"Nx{name}" for name, chip in CHIPS.items() if chip.kind == "gpu")
    return f"known: {families}, {gpus}"
