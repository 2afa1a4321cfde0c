"""How long collectives take on the links of a slice.

A ring collective, such as an all-gather, uses the links of every axis that its groups
span, in both directions where the axis is closed to a ring. A permute is routed: each
message goes the shortest way, one axis after another, and the busiest link sets the
time. So a swap with the neighbour is quick, and one with the chip eight away is eight
times as much on the links between.

TPU slices of several are joined by a network, of which each chip has a share. GPUs of a
node reach each other through its switch; beyond the node each has a network card, and a
ring collective uses all cards of a node at once.

Collectives are added up, as if none could overlap with another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runtime.accelerators import GPUS_PER_NODE, Slice
from runtime.collectives import BETWEEN_SLICES, Collective, Groups

Place = tuple[int, ...]
"""A device's slice or node, then its coordinates there; of a GPU, its number there."""

_Link = tuple[Place, int, int]
"""From a chip, along an axis, up (1) or down (-1)."""


@dataclass(frozen=True)
class Interconnect:
    """The links between the devices of a mesh."""

    slice: Slice
    places: Sequence[Place]
    """Of each device, in the order of the mesh."""

    def seconds(self, collectives: Iterable[Collective]) -> float:
        """Return the time of some collectives at the full bandwidth of the links."""
        return sum(one.runs * self._seconds(one) for one in collectives)

    def _seconds(self, one: Collective) -> float:
        chip = self.slice.chip
        if one.kind == BETWEEN_SLICES:
            return one.sent_bytes / chip.network_bandwidth
        inside = self._seconds_inside(one)
        homes = ({self.places[device][0] for device in group} for group in one.groups)
        if all(len(group) == 1 for group in homes):
            return inside
        is_ring_of_gpus = chip.kind == "gpu" and one.kind != "collective-permute"
        cards = GPUS_PER_NODE if is_ring_of_gpus else 1
        return max(inside, one.sent_bytes / (cards * chip.network_bandwidth))

    def _seconds_inside(self, one: Collective) -> float:
        """Return the time on the links of a slice, or through the switch of a node."""
        bandwidth = self.slice.chip.link_bandwidth
        if self.slice.chip.kind == "gpu":
            return one.sent_bytes / bandwidth
        if one.kind == "collective-permute":
            return one.sent_bytes * self._busiest(one.groups) / bandwidth
        return one.sent_bytes / (bandwidth * max(1, self._ways(one.groups)))

    def _ways(self, groups: Groups) -> int:
        """Return the links that a device of a group can use at once, one way."""
        ways = 0
        for axis, is_ring in enumerate(self.slice.rings, start=1):
            spans = max(
                (
                    len({self.places[device][axis] for device in group})
                    for group in groups
                ),
                default=1,
            )
            ways += (2 if is_ring else 1) if spans > 1 else 0
        return ways

    def _busiest(self, pairs: Groups) -> float:
        """Return how many messages the busiest link carries."""
        load: dict[_Link, float] = defaultdict(float)
        for sender, receiver in pairs:
            start, stop = self.places[sender], self.places[receiver]
            if start[0] != stop[0]:
                continue  # by the network
            for link, share in self._route(start, stop):
                load[link] += share
        return max(load.values(), default=0.0)

    def _route(self, start: Place, stop: Place) -> Iterable[tuple[_Link, float]]:
        here = list(start)
        for axis, size in enumerate(self.slice.grid, start=1):
            up = (stop[axis] - start[axis]) % size
            is_up, is_ring = stop[axis] > start[axis], self.slice.rings[axis - 1]
            for direction, hops, share in _ways_round(up, size, is_up, is_ring):
                for hop in range(hops):
                    place = [*here]
                    place[axis] = (start[axis] + direction * hop) % size
                    yield (tuple(place), axis, direction), share
            here[axis] = stop[axis]


def _ways_round(
    up: int, size: int, is_up: bool, is_ring: bool
) -> Iterable[tuple[int, int, float]]:
    """Yield direction, hops and share of the message, of each way along an axis."""
    down = size - up
    if up == 0:
        return
    if not is_ring:
        yield (1, up, 1.0) if is_up else (-1, down, 1.0)
    elif up == down:
        # Both ways are as long: half of the message goes each way.
        yield 1, up, 0.5
        yield -1, down, 0.5
    else:
        yield (1, up, 1.0) if up < down else (-1, down, 1.0)
