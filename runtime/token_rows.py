"""Rows of tokens out of many memory-mapped shards, all with one gather.

A shard is a stretch of this process's memory, so a row is known by its distance from
the lowest of them. One view reaches from there over everything: element `i` of it is
the row that begins at token `i`. Only rows inside of a shard are ever looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from runtime.mixture import BatchOrder
from runtime.permutation import Ints

# B rows of a batch, L sequence length

Tokens = NDArray[np.int32]

_GATHERED_BYTES = 2**20
"""Looked up at a time: what is gathered is still in the cache when it is widened."""


class TokenReader(Protocol):
    """One source's tokens, by position; what `runtime.token_store` opens."""

    @property
    def num_tokens(self) -> int:
        """Tokens in all files together."""
        ...

    @property
    def pieces(self) -> Sequence[NDArray[Any]]:
        """The tokens as arrays of one integer type, in order."""
        ...

    @property
    def is_elsewhere(self) -> bool:
        """Whether `pieces` have only what is `here`."""
        ...

    def here(self, starts: Ints, count: int) -> AbstractContextManager[None]:
        """Make sure that `pieces` have tokens, `count` from each start on."""
        ...

    def read(self, start: int, count: int) -> Tokens:
        """Return tokens from a position on."""
        ...


class RowReader:
    """Reads the rows of any step."""

    def __init__(
        self, sources: Sequence[str], stores: Mapping[str, TokenReader]
    ) -> None:
        """Lay the stores end to end.

        Args:
            sources: What the `source_index` of an order counts.
            stores: Source name -> its training split.
        """
        self._stores = [stores[name] for name in sources]
        self._elsewhere = [
            (index, store)
            for index, store in enumerate(self._stores)
            if store.is_elsewhere
        ]
        pieces = [piece for store in self._stores for piece in store.pieces]
        (dtype,) = {piece.dtype for piece in pieces}
        # Kept: the view below does not keep alive what it looks at.
        self._pieces = [piece for piece in pieces if piece.size]
        assert all(piece.flags.c_contiguous for piece in self._pieces)
        lengths = np.array([piece.size for piece in self._pieces], np.int64)
        self._stops = np.cumsum(lengths)
        num_tokens = np.array([store.num_tokens for store in self._stores], np.int64)
        self._source_starts = np.cumsum(num_tokens) - num_tokens
        addresses = np.array([piece.ctypes.data for piece in self._pieces], np.int64)
        self._lowest = self._pieces[int(np.argmin(addresses))]
        distances = (addresses - addresses.min()) // dtype.itemsize
        self._shifts = distances - (self._stops - lengths)
        self._reach = int((distances + lengths).max())

    def read(self, order: BatchOrder) -> Tokens:
        """Return int32 of B x (L + 1): each row with the token after it.

        Columns 0 to L - 1 are inputs and 1 to L are labels.
        """
        count = order.sequence_length + 1
        starts = self._source_starts[order.source_index] + order.start_token
        piece = np.searchsorted(self._stops, starts, side="right")
        is_inside = starts + count <= self._stops[piece]
        (inside,) = np.nonzero(is_inside)
        tokens = np.empty((len(order), count), np.int32)
        with ExitStack() as stack:
            for index, store in self._elsewhere:
                own = order.start_token[is_inside & (order.source_index == index)]
                stack.enter_context(store.here(own, count))
            self._gather(tokens, inside, starts[inside] + self._shifts[piece[inside]])
        for row in np.flatnonzero(~is_inside).tolist():
            store = self._stores[int(order.source_index[row])]
            tokens[row] = store.read(int(order.start_token[row]), count)
        return tokens

    def read_some(self, order: BatchOrder, rows: Ints) -> Tokens:
        """Return what `read` does, with zeros but for some rows, which alone cost."""
        if len(rows) == len(order):
            return self.read(order)
        tokens = np.zeros((len(order), order.sequence_length + 1), np.int32)
        tokens[rows] = self.read(order[rows])
        return tokens

    def _gather(self, tokens: Tokens, rows: Ints, places: Ints) -> None:
        """Fill rows of an array with what begins at places of the view."""
        count, size = tokens.shape[1], self._lowest.itemsize
        windows = as_strided(
            self._lowest, (self._reach, count), (size, size), writeable=False
        )
        step = max(1, _GATHERED_BYTES // (size * count))
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            tokens[rows[some]] = windows[places[some]]
