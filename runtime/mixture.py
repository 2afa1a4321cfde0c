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
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.keys import key
from runtime.permutation import MAX_SIZE, Ints, permute
from specs.checks import LIMIT
from specs.errors import InputError, Problem
from specs.plan import Plan, PlannedStage

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

    def __getitem__(self, rows: slice) -> BatchOrder:
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

    def at(self, step: int) -> BatchOrder:
        """Return the rows of one step, lane after lane."""
        stage = self._plan.stage_at(step)
        start = (step - stage.start_step) * stage.sequences_per_step
        return self.rows(stage, start, start + stage.sequences_per_step)

    def rows(self, stage: PlannedStage, start: int, stop: int) -> BatchOrder:
        """Return rows of one stage, counted from its first row."""
        positions = np.arange(start, stop, dtype=np.int64)
        source_index, nth = self._trees[stage.name].descend(positions)
        length = stage.sequence_length
        cursor = self._start_tokens[stage.name][source_index] + nth * length
        unit, offset = np.divmod(cursor, self._plan.shuffle_unit)
        sizes = self._units_per_epoch[source_index]
        epoch, unit = np.divmod(unit, sizes)
        shuffled = permute(unit, keys=self._keys(source_index, epoch), sizes=sizes)
        return BatchOrder(
            sources=self.sources,
            source_index=source_index.astype(np.int32),
            epoch=epoch,
            start_token=shuffled * self._plan.shuffle_unit + offset,
            sequence_length=length,
        )

    def _keys(self, source_index: Ints, epoch: Ints) -> NDArray[np.uint64]:
        # Few pairs of source and epoch meet in one step, however many rows it has.
        pairs, place = np.unique(
            epoch * len(self.sources) + source_index, return_inverse=True
        )
        keys = [
            _epoch_key(self._plan.seed, self.sources[source], number)
            for number, source in (
                divmod(pair, len(self.sources)) for pair in pairs.tolist()
            )
        ]
        return np.array(keys, np.uint64)[place]


@functools.lru_cache(maxsize=4096)
def _epoch_key(seed: int, source: str, epoch: int) -> int:
    return key(seed, "order", source, epoch)


@dataclass(frozen=True, kw_only=True)
class _SplitTree:
    """A binary tree over sources; one array element per node, the root last.

    A leaf splits all of its rows to the left and is its own left child, so that a
    walk of `depth` levels may pass the end of a short branch without harm.
    """

    total: Ints
    """Rows below the node."""
    total_left: Ints
    left: Ints
    right: Ints
    source_index: Ints
    """Of a leaf; -1 for inner nodes."""
    depth: int

    @staticmethod
    def build(counts: Mapping[str, int], sources: tuple[str, ...]) -> _SplitTree:
        """Join the two lightest nodes until one is left; names break ties."""
        # A node is (rows, first name below, place, depth).
        leaves = [(rows, name) for name, rows in sorted(counts.items()) if rows > 0]
        heap = [(rows, name, place, 0) for place, (rows, name) in enumerate(leaves)]
        nodes = [
            (rows, rows, place, place, sources.index(name))
            for place, (rows, name) in enumerate(leaves)
        ]
        heapq.heapify(heap)
        while len(heap) > 1:
            one, other = heapq.heappop(heap), heapq.heappop(heap)
            rows = one[0] + other[0]
            joined = (
                rows,
                min(one[1], other[1]),
                len(nodes),
                1 + max(one[3], other[3]),
            )
            nodes.append((rows, one[0], one[2], other[2], -1))
            heapq.heappush(heap, joined)
        columns = np.array(nodes, np.int64).T
        return _SplitTree(
            total=columns[0],
            total_left=columns[1],
            left=columns[2],
            right=columns[3],
            source_index=columns[4],
            depth=heap[0][3],
        )

    def descend(self, positions: Ints) -> tuple[Ints, Ints]:
        """Return the source of each position, and how many before are of it too."""
        node = np.full_like(positions, len(self.total) - 1)
        for _ in range(self.depth):
            total, total_left = self.total[node], self.total_left[node]
            before = _rounded_share(positions, total_left, total)
            is_left = _rounded_share(positions + 1, total_left, total) > before
            positions = np.where(is_left, before, positions - before)
            node = np.where(is_left, self.left[node], self.right[node])
        return self.source_index[node], positions


def _rounded_share(positions: Ints, part: Ints, total: Ints) -> Ints:
    """Return positions * part / total, rounded half up."""
    share: Ints = (2 * positions * part + total) // (2 * total)
    return share


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
