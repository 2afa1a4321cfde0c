from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from eval_fakes import ByteCodec, MemoryStore
from order_plans import make_plan

from runtime.batches import read_batch
from runtime.mixture import Mixture
from runtime.show import show_rows


@dataclass(frozen=True)
class Origin:
    file: str
    number: int
    start_token: int
    stop_token: int


class OriginStore(MemoryStore):
    """A store whose documents are the lines of one file."""

    def document_at(self, token: int) -> Origin:
        for number, span in enumerate(self.documents, 1):
            if span.start_token <= token < span.stop_token:
                return Origin("notes.txt", number, span.start_token, span.stop_token)
        raise IndexError(token)


def test_rows_show_their_documents_and_text():
    texts = ["abcdefghij", "", "kl", "mnopqrstuvwxyz" * 3]
    store = OriginStore(texts)
    plan = make_plan([{"notes": 6}], sequences_per_step=6)
    mixture = Mixture(plan, {"notes": store.num_tokens})
    order = mixture.at(0)
    shown = show_rows(order, {"notes": store}, ByteCodec(), lane_sequences=2)
    assert [row.row for row in shown] == list(range(6))
    assert [row.lane for row in shown] == [0, 0, 1, 1, 2, 2]
    batch = read_batch(order, {"notes": store})
    for row, tokens in zip(shown, batch[:, :-1], strict=True):
        assert (row.source, row.epoch) == ("notes", 0)
        assert row.stop_token - row.start_token == 8
        joined = "".join(piece.text for piece in row.pieces)
        np.testing.assert_array_equal(
            ByteCodec().encode(joined), [token for token in tokens if token != 1]
        )
        for piece in row.pieces:
            text = texts[piece.number - 1]
            assert piece.file == "notes.txt"
            assert piece.document_tokens == len(text) + 1
            assert piece.text == text[piece.first_token : piece.stop_token]
    across = next(row for row in shown if row.start_token == 8)
    assert [(p.number, p.first_token, p.stop_token) for p in across.pieces] == [
        (1, 8, 11),
        (2, 0, 1),
        (3, 0, 3),
        (4, 0, 1),
    ]


def test_chosen_rows_alone_are_shown():
    store = OriginStore(["x" * 100])
    plan = make_plan([{"notes": 6}], sequences_per_step=6)
    order = Mixture(plan, {"notes": store.num_tokens}).at(0)
    stores = {"notes": store}
    everything = show_rows(order, stores, ByteCodec(), lane_sequences=1)
    some = show_rows(order, stores, ByteCodec(), lane_sequences=1, rows=[4, 1])
    assert some == [everything[4], everything[1]]
