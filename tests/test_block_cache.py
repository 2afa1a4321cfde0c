"""Blocks of files elsewhere: right to the byte, within the limit, once per block."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from runtime.block_cache import BLOCK_BYTES, BlockCache, BlockedFile, block_digest
from runtime.storage import Folder
from specs.errors import InputError

NUM_BLOCKS = 6
LAST_BYTES = 1000
"""The last block is short."""


class CountingFolder(Folder):
    """A folder that remembers what was asked of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[tuple[str, int, int]] = []

    def read_many(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        self.asked += ranges
        return super().read_many(ranges)


@pytest.fixture
def data() -> bytes:
    count = (NUM_BLOCKS - 1) * BLOCK_BYTES + LAST_BYTES
    return np.random.default_rng(3).bytes(count)


@pytest.fixture
def file(tmp_path: Path, data: bytes) -> BlockedFile:
    storage = CountingFolder(tmp_path / "bucket")
    storage.write("a.tokens", [data])
    starts = range(0, len(data), BLOCK_BYTES)
    digests = [block_digest(data[start : start + BLOCK_BYTES]) for start in starts]
    return BlockedFile(storage, "a.tokens", "id-a.tokens", len(data), b"".join(digests))


def asked_of(file: BlockedFile) -> list[int]:
    assert isinstance(file.storage, CountingFolder)
    return [start // BLOCK_BYTES for _, start, _ in file.storage.asked]


def blocks(*numbers: int) -> list[tuple[str, int]]:
    return [("id-a.tokens", number) for number in numbers]


def bytes_on_disk(path: Path) -> int:
    # File systems count what lists many holes, of which ext4 needs one page here.
    return path.stat().st_blocks * 512 // BLOCK_BYTES * BLOCK_BYTES


def block_of(path: Path, data: bytes, number: int) -> tuple[bytes, bytes]:
    mapped = np.memmap(path, np.uint8, "r")
    start = number * BLOCK_BYTES
    return (
        mapped[start : start + BLOCK_BYTES].tobytes(),
        data[start : start + BLOCK_BYTES],
    )


def test_every_block_is_at_its_place_and_asked_for_once(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    cache = BlockCache(tmp_path / "cache", 10**9)
    path = cache.add(file)
    for wanted in ((3,), (0, 5, 3), (1, 2, 4, 5)):
        with cache.here(blocks(*wanted)):
            for number in wanted:
                found, right = block_of(path, data, number)
                assert found == right
    assert asked_of(file) == [3, 0, 5, 1, 2, 4]
    assert path.read_bytes() == data


def test_disk_space_is_given_back_to_whoever_was_used_longest_ago(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    cache = BlockCache(tmp_path / "cache", 2 * BLOCK_BYTES)
    path = cache.add(file)
    for number in (0, 1, 0, 2):
        with cache.here(blocks(number)):
            pass
    # 1 went when 2 came, since 0 was used after it.
    assert bytes_on_disk(path) <= 2 * BLOCK_BYTES
    with cache.here(blocks(0, 2)):
        assert asked_of(file) == [0, 1, 2]
    with cache.here(blocks(1)):
        found, right = block_of(path, data, 1)
        assert found == right
    assert asked_of(file) == [0, 1, 2, 1]


def test_what_is_in_use_stays_even_above_the_limit(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    cache = BlockCache(tmp_path / "cache", BLOCK_BYTES)
    path = cache.add(file)
    with ExitStack() as stack:
        for number in range(NUM_BLOCKS):
            stack.enter_context(cache.here(blocks(number)))
        assert path.read_bytes() == data
    assert bytes_on_disk(path) <= BLOCK_BYTES


def test_a_block_that_came_damaged_is_asked_for_again_and_then_refused(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    cache = BlockCache(tmp_path / "cache", 10**9)
    cache.add(file)
    damaged = bytearray(data)
    damaged[2 * BLOCK_BYTES + 5] ^= 1
    file.storage.write("a.tokens", [bytes(damaged)])
    with pytest.raises(InputError, match="block 2 is not what was written"):
        cache.here(blocks(1, 2)).__enter__()
    assert asked_of(file) == [1, 2, 2]


def test_a_later_process_uses_what_is_whole_and_mends_what_is_not(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    folder = tmp_path / "cache" / "0"
    folder.mkdir(parents=True)
    # As a crash leaves it: block 0 written, 1 half-written, the others holes.
    with (folder / file.label).open("wb") as copy:
        copy.write(data[:BLOCK_BYTES])
        copy.write(data[BLOCK_BYTES : BLOCK_BYTES + 100])
        copy.truncate(len(data))
    (folder / "of-another-run").write_bytes(b"x" * 3 * BLOCK_BYTES)
    cache = BlockCache(tmp_path / "cache", 4 * BLOCK_BYTES)
    path = cache.add(file)
    with cache.here(blocks(0, 1, 3)):
        for number in (0, 1, 3):
            found, right = block_of(path, data, number)
            assert found == right
    assert asked_of(file) == [1, 3]
    # What the other run left made room.
    assert not (folder / "of-another-run").exists()


def _take(folder: Path) -> None:
    cache = BlockCache(folder, 1)
    assert cache is not None
    Path(folder / "child").write_text(" ".join(sorted(os.listdir(folder))))


def test_each_process_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = BlockCache(folder, 1)
    process = multiprocessing.get_context("spawn").Process(target=_take, args=(folder,))
    process.start()
    process.join(60)
    assert (folder / "child").read_text() == "0 0.lock 1 1.lock"
    assert first is not None


def test_threads_see_the_right_bytes_while_blocks_come_and_go(
    tmp_path: Path, file: BlockedFile, data: bytes
) -> None:
    cache = BlockCache(tmp_path / "cache", 2 * BLOCK_BYTES)
    path = cache.add(file)
    wrong: list[int] = []

    def read(seed: int) -> None:
        draw = np.random.default_rng(seed)
        for _ in range(60):
            wanted = draw.choice(NUM_BLOCKS, 2, replace=False).tolist()
            with cache.here(blocks(*wanted)):
                for number in wanted:
                    found, right = block_of(path, data, number)
                    if found != right:
                        wrong.append(number)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert bytes_on_disk(path) <= 2 * BLOCK_BYTES
