"""Token stores: what is written is read, in a keyed order, over any shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from runtime.shard_writer import ShardWriter
from runtime.store_format import Manifest, ShardRecord, SplitRecord, token_dtype
from runtime.token_store import TokenStore, read_manifest
from specs.atomic import sweep
from specs.errors import InputError

EOS = 1


def documents_of(seed: int, count: int, vocab_size: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        np.append(rng.integers(2, vocab_size, rng.integers(0, 30)), EOS)
        for _ in range(count)
    ]


def write_shard(
    folder: Path,
    documents: Sequence[np.ndarray],
    *,
    shard: int = 0,
    split: str = "train",
    order_key: int = 7,
    vocab_size: int = 1000,
) -> ShardRecord:
    folder.mkdir(exist_ok=True)
    writer = ShardWriter(
        folder, split=split, shard=shard, order_key=order_key, vocab_size=vocab_size
    )
    for number, tokens in enumerate(documents, start=1):
        writer.add(tokens, file=shard, number=number, num_bytes=3 * len(tokens))
    return writer.finish()


def write_store(
    folder: Path, shards: Sequence[Sequence[np.ndarray]], vocab_size: int = 1000
) -> TokenStore:
    splits = {}
    for split in ("train", "heldout"):
        records = tuple(
            write_shard(
                folder,
                documents if split == "train" else documents[:1],
                shard=index,
                split=split,
                order_key=index,
                vocab_size=vocab_size,
            )
            for index, documents in enumerate(shards)
        )
        splits[split] = SplitRecord(
            shards=records,
            num_tokens=sum(record.num_tokens for record in records),
            num_documents=sum(record.num_documents for record in records),
            num_bytes=sum(record.num_text_bytes for record in records),
        )
    manifest = Manifest(
        store=1,
        identity="i",
        source="s",
        tokenizer_sha256="t",
        vocab_size=vocab_size,
        eos_id=EOS,
        files=tuple(f"data/{index}.jsonl" for index in range(len(shards))),
        splits=splits,
        read=0,
        dropped={},
        reserved=0,
        corrupt=0,
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return TokenStore.open(folder)


@pytest.mark.parametrize("vocab_size", [1000, 2**16, 2**16 + 1, 300_000])
def test_documents_come_back_whole(tmp_path: Path, vocab_size: int) -> None:
    shards = [documents_of(seed, 20, vocab_size) for seed in range(3)]
    shards.insert(1, [])  # a shard of which nothing was kept
    store = write_store(tmp_path / "s", shards, vocab_size)
    assert store.num_documents == len(store.documents) == 60
    assert store.num_tokens == sum(len(one) for docs in shards for one in docs)
    assert store.num_bytes == 3 * store.num_tokens
    seen = set()
    position = 0
    for document in store.documents:
        assert document.start_token == position
        position = document.stop_token
        shard = int(document.file[len("data/") : -len(".jsonl")])
        tokens = store.read(document.start_token, position - document.start_token)
        np.testing.assert_array_equal(tokens, shards[shard][document.number - 1])
        assert tokens.dtype == np.int32
        assert document.num_bytes == 3 * len(tokens)
        seen.add((shard, document.number))
    assert len(seen) == 60
    assert position == store.num_tokens


def test_reading_is_slicing_the_whole_sequence(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    store = write_store(
        tmp_path / "s", [documents_of(seed, 9, 99) for seed in range(5)]
    )
    whole = store.read(0, store.num_tokens)
    for _ in range(300):
        start, stop = np.sort(rng.integers(0, store.num_tokens + 1, 2)).tolist()
        np.testing.assert_array_equal(
            store.read(start, stop - start), whole[start:stop]
        )


def test_document_of_a_token_holds_it(tmp_path: Path) -> None:
    shards = [[], documents_of(1, 9, 99), [], documents_of(2, 9, 99), []]
    store = write_store(tmp_path / "s", shards)
    for token in range(store.num_tokens):
        document = store.document_at(token)
        assert document.start_token <= token < document.stop_token


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, -1), (0, 10**6), (10**6, 0)])
def test_reading_past_the_ends_is_an_error(
    tmp_path: Path, start: int, count: int
) -> None:
    store = write_store(tmp_path / "s", [documents_of(1, 3, 99)])
    with pytest.raises(IndexError, match="are outside 0 to"):
        store.read(start, count)


def test_split_without_documents_is_empty_and_readable(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", [[]])
    assert (store.num_tokens, store.num_documents, list(store.documents)) == (0, 0, [])
    assert store.read(0, 0).shape == (0,)
    with pytest.raises(IndexError):
        store.document_at(0)


def test_order_of_documents_is_keyed_and_nothing_else(tmp_path: Path) -> None:
    documents = documents_of(1, 200, 99)
    records = [
        write_shard(tmp_path / str(index), documents, order_key=order_key)
        for index, order_key in enumerate([5, 5, 6])
    ]
    assert records[0] == records[1]
    assert records[0].tokens.sha256 != records[2].tokens.sha256
    in_order = np.concatenate(documents).astype("<u2").tobytes()
    assert (tmp_path / "0" / "train-00000.tokens").read_bytes() != in_order


def test_shuffle_moves_documents_about_evenly(tmp_path: Path) -> None:
    documents = [np.array([EOS])] * 4000
    store = write_store(tmp_path / "s", [documents])
    numbers = np.array([document.number for document in store.documents])
    # A uniform order correlates with the file's by about one in the root of 4000.
    assert abs(np.corrcoef(numbers, np.arange(4000))[0, 1]) < 0.06


def test_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    documents = documents_of(1, 20, 99)
    whole = write_shard(tmp_path / "a", documents)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".train-00000.tokens.0f.tmp").write_bytes(b"half")
    sweep(tmp_path / "b")
    assert write_shard(tmp_path / "b", documents) == whole
    names = sorted(path.name for path in (tmp_path / "b").iterdir())
    assert names == ["train-00000.documents", "train-00000.tokens"]


def test_incomplete_store_can_not_be_opened(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", documents_of(1, 3, 99))
    with pytest.raises(InputError, match="no complete token store here"):
        TokenStore.open(tmp_path / "s")


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"store": 2}'])
def test_damaged_manifest_is_an_error(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match="the manifest can't be read"):
        read_manifest(tmp_path)


def test_cut_off_file_is_found_when_opening(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", [documents_of(1, 9, 99)])
    path = store.folder / "train-00000.tokens"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"train-00000\.tokens: has another size"):
        TokenStore.open(store.folder)
    TokenStore.open(store.folder, "heldout")  # its files are whole


def test_verify_finds_every_changed_bit(tmp_path: Path) -> None:
    store = write_store(
        tmp_path / "s", [documents_of(1, 9, 99), documents_of(2, 9, 99)]
    )
    store.verify()
    for name in ("train-00001.tokens", "heldout-00000.documents"):
        path = store.folder / name
        data = bytearray(path.read_bytes())
        data[3] ^= 1
        path.write_bytes(bytes(data))
    (store.folder / "train-00000.documents").unlink()
    with pytest.raises(InputError, match="has other bytes") as caught:
        store.verify()
    assert [(one.file, one.what) for one in caught.value.problems] == [
        ("s/train-00000.documents", "is missing"),
        ("s/train-00001.tokens", "has other bytes than the manifest says"),
        ("s/heldout-00000.documents", "has other bytes than the manifest says"),
    ]


def test_token_takes_two_bytes_where_that_is_enough() -> None:
    assert token_dtype(2**16) == np.dtype("<u2")
    assert token_dtype(2**16 + 1) == np.dtype("<u4")
