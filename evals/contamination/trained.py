"""Which documents of a token store a plan trains on.

A plan may take fewer tokens of a source than there are. A document counts as trained on
if any token of it is an input of some row, or the label of a row's last token.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.mixture import Mixture
from runtime.prepared import open_stores
from runtime.token_store import TokenStore
from specs.lock import Lock
from specs.plan import Plan

_ROWS = 2**18
"""Rows that are looked up together."""


class TrainedTokens:
    """The part of one source's tokens that a plan reaches."""

    def __init__(self, store: TokenStore, pieces: NDArray[np.bool_], piece_tokens: int):
        """Take which pieces of the store are read.

        Args:
            store: The training split.
            pieces: Whether each piece is part of some row.
            piece_tokens: Tokens per piece.
        """
        self._store = store
        self._pieces = pieces
        self._piece_tokens = piece_tokens
        counts = [
            shard.num_documents for shard in store.manifest.splits["train"].shards
        ]
        self._first_documents = np.cumsum([0, *counts]).tolist()

    @property
    def share(self) -> float:
        """Share of the source's tokens that are inputs."""
        num_tokens = int(self._pieces.sum()) * self._piece_tokens
        return num_tokens / self._store.num_tokens if self._store.num_tokens else 0.0

    def has_document(self, shard: int, place: int) -> bool:
        """Tell whether a document is trained on.

        Args:
            shard: Of the store.
            place: Among the documents of that shard.
        """
        document = self._store.document(self._first_documents[shard] + place)
        # The token behind a row is its last label.
        first = max(0, document.start_token - 1) // self._piece_tokens
        last = (document.stop_token - 1) // self._piece_tokens
        return bool(self._pieces[first : last + 1].any())


def trained_tokens(plan: Plan, lock: Lock, workspace: Path) -> dict[str, TrainedTokens]:
    """Find what a plan reads of each source, all of which are prepared.

    Raises:
        InputError: With every source that is not prepared, or not whole.
    """
    stores = open_stores(plan, lock, workspace, "train")
    mixture = Mixture(plan, {name: one.num_tokens for name, one in stores.items()})
    # Rows begin at multiples of their stage's length.
    piece = math.gcd(*(stage.sequence_length for stage in plan.stages))
    pieces = {
        name: np.zeros(store.num_tokens // piece + 1, np.bool_)
        for name, store in stores.items()
    }
    for stage in plan.stages:
        for start in range(0, stage.num_sequences, _ROWS):
            stop = min(start + _ROWS, stage.num_sequences)
            rows = mixture.rows(stage, start, stop)
            first = rows.start_token // piece
            for index, name in enumerate(rows.sources):
                of_source = first[rows.source_index == index]
                for offset in range(stage.sequence_length // piece):
                    pieces[name][of_source + offset] = True
    return {
        name: TrainedTokens(store, pieces[name], piece)
        for name, store in stores.items()
    }
