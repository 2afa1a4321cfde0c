"""What the tokens of continuations cost, in lanes of rows of one width.

Only the tokens asked for have logits: a context is often longer than what follows it.
"""

# B rows of a lane, W tokens of a row, S tokens scored of a row

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from runtime.asked_weights import LANES, Asked, here
from runtime.fused import Parameters
from runtime.model import ranked_token_losses
from runtime.numerics import BATCH, SLICE
from runtime.scoring import Continuation, ContinuationLosses
from runtime.scoring_shapes import rows_of, scored_of, width_of

Shape = tuple[int, int]
"""W and S."""


@dataclass(frozen=True)
class _Row:
    """One request in a row of its own."""

    tokens: tuple[int, ...]
    """All but the last, which is only scored; at most W."""
    labels: tuple[int, ...]

    @property
    def first(self) -> int:
        """Position whose next token is scored first."""
        return len(self.tokens) - len(self.labels)


class Continuations:
    """The compiled programs that score continuations on one layout."""

    def __init__(self, asked: Asked) -> None:
        """Compile nothing yet."""
        self._asked = asked
        self._length = asked.stage.sequence_length
        self._compiled: dict[Shape, Any] = {}

    def score(
        self, params: Parameters, requests: Sequence[Continuation]
    ) -> list[ContinuationLosses]:
        """Score requests.

        Args:
            params: From `Asked.hold`.
            requests: Any number.
        """
        rows = [self._row(request) for request in requests]
        by_shape: dict[Shape, list[int]] = {}
        for index, row in enumerate(rows):
            by_shape.setdefault(self._shape(row), []).append(index)
        # Devices work on while the host prepares: nothing is waited for in between.
        calls = [
            (indices, self._call(params, shape, [rows[index] for index in indices]))
            for shape, all_indices in sorted(by_shape.items())
            for indices in self._batches(shape, all_indices)
        ]
        found: dict[int, ContinuationLosses] = {}
        for indices, (losses, is_greedy) in calls:
            losses_NS, greedy_NS = np.asarray(losses), np.asarray(is_greedy)
            for at, index in enumerate(indices):
                num = len(rows[index].labels)
                found[index] = ContinuationLosses(
                    losses=losses_NS[at, :num],
                    is_greedy=greedy_NS[at, :num].astype(np.bool_),
                )
        return [found[index] for index in range(len(rows))]

    def _row(self, request: Continuation) -> _Row:
        assert request.context, "nothing comes before the first token"
        assert 0 < len(request.tokens) <= self._length
        whole = (*request.context, *request.tokens)[-(self._length + 1) :]
        return _Row(whole[:-1], request.tokens)

    def _shape(self, row: _Row) -> Shape:
        width = width_of(len(row.tokens), self._length)
        return width, scored_of(len(row.labels), width)

    def _batches(self, shape: Shape, indices: list[int]) -> Iterator[list[int]]:
        size = rows_of(shape[0]) * self._asked.num_lanes
        for start in range(0, len(indices), size):
            yield indices[start : start + size]

    def _call(self, params: Parameters, shape: Shape, rows: Sequence[_Row]) -> Any:
        width, num_scored = shape
        size = rows_of(width) * self._asked.num_lanes
        tokens_NW = np.full((size, width), self._asked.eos_id, np.int32)
        labels_NS = np.zeros((size, num_scored), np.int32)
        first_N = np.zeros(size, np.int32)
        for index, row in enumerate(rows):
            tokens_NW[index, : len(row.tokens)] = row.tokens
            labels_NS[index, : len(row.labels)] = row.labels
            first_N[index] = row.first
        if shape not in self._compiled:
            self._compiled[shape] = self._compile(width)
        arrays: list[NDArray[np.int32]] = [tokens_NW, first_N, labels_NS]
        placed = [self._asked.place(x) for x in arrays]
        return self._compiled[shape](params, *placed)

    def _compile(self, width: int) -> Any:
        program = self._asked.program(width)

        def lane(
            params: Parameters, tokens_BW: Array, first_B: Array, labels_BS: Array
        ) -> Any:
            ranked = ranked_token_losses(
                program, here(params), tokens_BW, first_B, labels_BS
            )
            return tuple(lax.all_gather(x, (SLICE, BATCH), tiled=True) for x in ranked)

        return self._asked.compiled(lane, (self._asked.params_spec, *[LANES] * 3))
