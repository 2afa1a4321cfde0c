from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from eval_fakes import ByteCodec, MemoryStore
from order_plans import make_plan

from runtime.mixture import Mixture
from runtime.shard_writer import ShardWriter
from runtime.show import show_rows
from runtime.store_format import Manifest, SplitRecord
from runtime.token_rows import RowReader
from runtime.token_store import TokenStore


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
    batch = RowReader(["notes"], {"notes": store}).read(order)
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


def test_rows_of_a_store_on_disk_lead_back_to_their_documents(tmp_path, rng):
    documents = {
        ("a.txt", "b.txt")[file] + f":{number}": rng.integers(2, 300, size=length)
        for file, number, length in [(0, 1, 30), (0, 2, 3), (1, 1, 50), (1, 9, 41)]
    }
    store = write_store(tmp_path, documents)
    plan = make_plan([{"notes": 15}], sequences_per_step=15)
    order = Mixture(plan, {"notes": store.num_tokens}).at(0)
    rows = show_rows(order, {"notes": store}, NumberCodec(), lane_sequences=1)
    batch = RowReader(["notes"], {"notes": store}).read(order)
    assert len({row.start_token for row in rows}) == 15
    for row, tokens in zip(rows, batch[:, :-1], strict=True):
        shown: list[int] = []
        for piece in row.pieces:
            whole = [*documents[f"{piece.file}:{piece.number}"], 1]
            assert piece.document_tokens == len(whole)
            part = whole[piece.first_token : piece.stop_token]
            assert piece.text == NumberCodec().decode([t for t in part if t != 1])
            shown += part
        np.testing.assert_array_equal(tokens, shown)


class NumberCodec:
    """Tokens as numbers."""

    eos_id = 1

    def decode(self, tokens: list[int]) -> str:
        return " ".join(map(str, tokens))


def write_store(folder: Path, documents: dict[str, np.ndarray]) -> TokenStore:
    """Write a store of one split, a shard for each file `NAME:NUMBER` comes from."""
    files = sorted({name.partition(":")[0] for name in documents})
    shards = []
    for shard, file in enumerate(files):
        writer = ShardWriter(
            folder, split="train", shard=shard, order_key=5, vocab_size=300
        )
        for name, tokens in documents.items():
            if name.startswith(file):
                number = int(name.partition(":")[2])
                tokens = np.append(tokens, 1)
                writer.add(tokens, file=shard, number=number, num_bytes=0)
        shards.append(writer.finish())
    split = SplitRecord(
        shards=tuple(shards),
        num_tokens=sum(shard.num_tokens for shard in shards),
        num_documents=len(documents),
        num_bytes=0,
    )
    manifest = Manifest(
        store=1,
        identity="0" * 64,
        source="notes",
        tokenizer_sha256="0" * 64,
        vocab_size=300,
        eos_id=1,
        files=tuple(files),
        splits={"train": split},
        read=len(documents),
        dropped={},
        reserved=0,
        corrupt=0,
    )
    return TokenStore(folder, "train", manifest)


def test_chosen_rows_alone_are_shown():
    store = OriginStore(["x" * 100])
    plan = make_plan([{"notes": 6}], sequences_per_step=6)
    order = Mixture(plan, {"notes": store.num_tokens}).at(0)
    stores = {"notes": store}
    everything = show_rows(order, stores, ByteCodec(), lane_sequences=1)
    some = show_rows(order, stores, ByteCodec(), lane_sequences=1, rows=[4, 1])
    assert some == [everything[4], everything[1]]
