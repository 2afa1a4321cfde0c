"""Which tokens every row of every step holds: a pure function of the plan.

Two questions, each answered without the answers to any others, so that training can
resume at any step, on any number of hosts, with nothing saved:

1. Which source? A stage's rows are split between two groups of sources as evenly as
   integers allow, each group again, down to single sources: a tree. The groups join
   the rarest sources first (Huffman, 1952), which keeps every count from the start of
   the stage within `PREFIX_BOUND` rows of its exact share, and makes the count at the
   end the planned one.
2. Which of its tokens? A source is an endless stream: the n-th row of it in the run is
   the n-th piece of a shuffled epoch, then of the next one, shuffled anew. Stages go on
   where the last one stopped.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.keys import key
from runtime.permutation import MAX_SIZE, Ints, permute
from specs.checks import LIMIT
from specs.errors import InputError, Problem
from specs.plan import Plan, PlannedStage

Number = TypeVar("Number", int, Ints)

CHUNK_ROWS = 2**14
"""Rows that are looked up together: few enough to wait for, and so many that a row
costs what its arithmetic does. Which rows, never changes what they are."""

PREFIX_BOUND = 1.68
"""Rows by which a count from the start of a stage may miss its exact share.

A split rounds to within half a row and hands down the miss of the split above, scaled
by the child's share of its parent. In a Huffman tree a node k levels above a leaf is at
least F(k+1) times as heavy, F being Fibonacci's numbers (Katona and Nemetz, 1976), so a
miss is at most half the sum of their reciprocals, 3.36, with 1 for the leaf itself."""


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """Where the tokens of some rows come from, one element per row."""

    sources: tuple[str, ...]
    """What `source_index` counts, sorted by name."""
    source_index: NDArray[np.int32]
    epoch: Ints
    """How often the source has been gone through before."""
    start_token: Ints
    """First token of the row, in the source's token store."""
    sequence_length: int
    """Tokens per row; a row also needs the token after its last one, as a label."""

    def __len__(self) -> int:
        return len(self.source_index)

    def __getitem__(self, rows: slice | Ints) -> BatchOrder:
        """Return some of the rows, such as those of one lane."""
        return BatchOrder(
            sources=self.sources,
            source_index=self.source_index[rows],
            epoch=self.epoch[rows],
            start_token=self.start_token[rows],
            sequence_length=self.sequence_length,
        )


class Mixture:
    """The order of a whole run.

    It depends on the seed, the names of the sources and the stages' numbers, and on
    nothing else: not on the order of sources in the spec, nor on files or devices.
    """

    def __init__(self, plan: Plan, train_tokens: Mapping[str, int]):
        """Prepare the order of a plan.

        Args:
            plan: What to train on.
            train_tokens: Source name -> tokens in its training split.

        Raises:
            InputError: A source is missing, or too small to hold a single sequence.
        """
        self._plan = plan
        self.sources = tuple(
            sorted({name for stage in plan.stages for name in stage.sequences})
        )
        self._units_per_epoch = _units_per_epoch(plan, self.sources, train_tokens)
        assert all(stage.num_sequences < LIMIT for stage in plan.stages)
        self._trees = {
            stage.name: _SplitTree.build(stage.sequences, self.sources)
            for stage in plan.stages
        }
        self._start_tokens = {
            stage.name: np.array(
                [stage.start_tokens.get(name, 0) for name in self.sources], np.int64
            )
            for stage in plan.stages
        }
        self._latest: tuple[tuple[str, int], BatchOrder] | None = None

    def at(self, step: int) -> BatchOrder:
        """Return the rows of one step, lane after lane."""
        stage = self._plan.stage_at(step)
        steps = max(1, CHUNK_ROWS // stage.sequences_per_step)
        chunk, place = divmod(step - stage.start_step, steps)
        key = (stage.name, chunk)
        # One name is read and written whole, so any thread may ask.
        latest = self._latest
        if latest is None or latest[0] != key:
            size = steps * stage.sequences_per_step
            stop = min((chunk + 1) * size, stage.num_sequences)
            latest = self._latest = (key, self.rows(stage, chunk * size, stop))
        start = place * stage.sequences_per_step
        return latest[1][start : start + stage.sequences_per_step]

    def rows(self, stage: PlannedStage, start: int, stop: int) -> BatchOrder:
        """Return rows of one stage, counted from its first row."""
        source_index, nth = self._trees[stage.name].descend(start, stop)
        length = stage.sequence_length
        cursor = self._start_tokens[stage.name][source_index] + nth * length
        unit, offset = np.divmod(cursor, self._plan.shuffle_unit)
        epoch, unit = np.divmod(unit, self._units_per_epoch[source_index])
        keys, sizes, which = self._permutations(source_index, epoch)
        shuffled = permute(unit, keys=keys, sizes=sizes, which=which)
        return BatchOrder(
            sources=self.sources,
            source_index=source_index.astype(np.int32),
            epoch=epoch,
            start_token=shuffled * self._plan.shuffle_unit + offset,
            sequence_length=length,
        )

    def _permutations(
        self, source_index: Ints, epoch: Ints
    ) -> tuple[NDArray[np.uint64], Ints, Ints]:
        """Return keys and sizes of each source's epochs, and which one each row has."""
        # A source's rows come in order, so its epochs are those from first to last.
        count = len(self.sources)
        first, last = np.zeros(count, np.int64), np.full(count, -1)
        first[source_index[::-1]] = epoch[::-1]
        last[source_index] = epoch
        num_epochs = last - first + 1
        begin = np.cumsum(num_epochs) - num_epochs
        keys = [
            _epoch_key(self._plan.seed, name, number)
            for name, start, stop in zip(
                self.sources, first.tolist(), last.tolist(), strict=True
            )
            for number in range(start, stop + 1)
        ]
        sizes = np.repeat(self._units_per_epoch, num_epochs)
        which = (begin - first)[source_index] + epoch
        return np.array(keys, np.uint64), sizes, which


def sequences_until(stage: PlannedStage, step: int) -> dict[str, int]:
    """Return source -> sequences of it in the steps of a stage before one, by name.

    Args:
        stage: The stage.
        step: Counted over the whole run; the end of the stage, or before.
    """
    sources = tuple(sorted(stage.sequences))
    rows = (step - stage.start_step) * stage.sequences_per_step
    tree = _SplitTree.build(stage.sequences, sources)
    found = dict(tree.counts(rows))
    return {name: found.get(index, 0) for index, name in enumerate(sources)}


@functools.lru_cache(maxsize=4096)
def _epoch_key(seed: int, source: str, epoch: int) -> int:
    return key(seed, "order", source, epoch)


@dataclass(frozen=True, kw_only=True)
class _SplitTree:
    """A binary tree over sources: a leaf of one of them, or a split in two."""

    total: int
    """Rows below the node."""
    left: _SplitTree | None = None
    right: _SplitTree | None = None
    source_index: int = -1
    """Of a leaf."""

    @staticmethod
    def build(counts: Mapping[str, int], sources: tuple[str, ...]) -> _SplitTree:
        """Join the two lightest nodes until one is left; names break ties."""
        # No two nodes have the same first name, so nodes are never compared.
        heap = [
            (rows, name, _SplitTree(total=rows, source_index=sources.index(name)))
            for name, rows in counts.items()
            if rows > 0
        ]
        heapq.heapify(heap)
        while len(heap) > 1:
            one, other = heapq.heappop(heap), heapq.heappop(heap)
            rows = one[0] + other[0]
            joined = _SplitTree(total=rows, left=one[2], right=other[2])
            heapq.heappush(heap, (rows, min(one[1], other[1]), joined))
        return heap[0][2]

    def descend(self, start: int, stop: int) -> tuple[Ints, Ints]:
        """Return the source of each position, and how many before are of it too."""
        source_index = np.empty(stop - start, np.int64)
        nth = np.empty(stop - start, np.int64)
        # Positions in a row below a node are in a row below its children too.
        todo = [(self, start, np.arange(stop - start))]
        while todo:
            node, start, places = todo.pop()
            if node.left is None or node.right is None:
                source_index[places] = node.source_index
                nth[places] = np.arange(start, start + len(places))
                continue
            positions = np.arange(start, start + len(places) + 1)
            before = _rounded_share(positions, node.left.total, node.total)
            is_left = before[1:] > before[:-1]
            first = int(before[0])
            todo.append((node.left, first, places[is_left]))
            todo.append((node.right, start - first, places[~is_left]))
        return source_index, nth

    def counts(self, rows: int) -> Iterator[tuple[int, int]]:
        """Yield each source of the node, and how many of the first rows are of it."""
        if self.left is None or self.right is None:
            yield self.source_index, rows
            return
        left = _rounded_share(rows, self.left.total, self.total)
        yield from self.left.counts(left)
        yield from self.right.counts(rows - left)


def _rounded_share(positions: Number, part: int, total: int) -> Number:
    """Return positions * part / total, rounded half up."""
    return (2 * positions * part + total) // (2 * total)


def _units_per_epoch(
    plan: Plan, sources: tuple[str, ...], train_tokens: Mapping[str, int]
) -> Ints:
    """Count the shuffled pieces of each source; the last row needs a label after it."""
    unit = plan.shuffle_unit
    problems = [
        Problem(
            path=f"sources.{name}",
            what=f"must hold at least {unit + 1} tokens for one sequence and its last "
            f"label, got {train_tokens.get(name, 0)}",
            fix="add documents to the source, or shorten batch.length",
        )
        for name in sources
        if train_tokens.get(name, 0) <= unit
    ]
    if problems:
        raise InputError(problems)
    units = [(train_tokens[name] - 1) // unit for name in sources]
    assert all(count <= MAX_SIZE for count in units)
    return np.array(units, np.int64)
