"""Dividing sources into shards, and what is read, dropped and found corrupt in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from data_workspace import sentences, write_lines
from hypothesis import given
from hypothesis import strategies as st

from runtime import shards as shards_module
from runtime.documents import Rows
from runtime.shards import plan_shards
from runtime.source_reader import Kept, SourceReader, Tally
from specs.errors import InputError
from specs.lock import LockedFile
from specs.plan import PlannedSource


def locked(path: str, num_bytes: int, documents: int | None) -> LockedFile:
    return LockedFile(path=path, sha256="", bytes=num_bytes, documents=documents)


def planned(**changes: Any) -> PlannedSource:
    fields = {
        "format": "auto",
        "field": "text",
        "where": "{}",
        "filters": "[]",
        "holdout": "0",
        "reserve": "0",
        "max_epochs": "1",
        "on_corrupt": "error",
    }
    return PlannedSource(**{**fields, **changes})


names = st.sampled_from(["a.jsonl", "b.txt", "c.jsonl.gz", "d.parquet", "e.jsonl.zst"])
files = st.lists(
    st.builds(locked, names, st.integers(0, 2**33), st.integers(0, 10**7)), max_size=20
)


@given(files)
def test_every_row_is_in_exactly_one_shard(files: list[LockedFile]) -> None:
    shards = plan_shards(files, "auto")
    ranges = [found for shard in shards for found in shard]
    assert [found.file for found in ranges] == sorted(found.file for found in ranges)
    for index, file in enumerate(files):
        of_file = [found for found in ranges if found.file == index]
        borders = [found.start_row for found in of_file] + [of_file[-1].stop_row]
        assert borders[0] == 0
        assert borders[-1] is None
        assert [found.stop_row for found in of_file[:-1]] == borders[1:-1]
        assert borders[:-1] == sorted(set(borders[:-1]))
        if file.path.endswith((".txt",)):
            assert len(of_file) == 1
        if file.path.endswith((".gz", ".zst")):
            assert len(of_file) <= shards_module.MAX_RANGES_OF_COMPRESSED


@pytest.mark.parametrize(
    ("total_bytes", "num_shards"),
    [(10, 1), (2**20, 1), (3 * 2**20, 3), (2**28, 256), (2**32, 256), (2**40, 2**12)],
)
def test_number_of_shards_grows_with_the_source(
    total_bytes: int, num_shards: int
) -> None:
    file = locked("a.jsonl", total_bytes, 10**9)
    assert len(plan_shards([file], "auto")) == num_shards


def test_small_files_share_a_shard() -> None:
    files = [locked(f"{index:04d}.txt", 1000, 1) for index in range(5000)]
    assert [len(shard) for shard in plan_shards(files, "auto")] == [1048] * 4 + [808]


def read(
    workspace: Path, source: PlannedSource, *rows: Rows
) -> tuple[Sequence[Kept], Tally]:
    tally = Tally()
    return list(SourceReader(source, workspace).read(rows, tally)), tally


def test_documents_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", ["", "tiny", *sentences(400)], lang="en")
    write_lines(tmp_path / "b.jsonl", sentences(50, seed=1), lang="de")
    source = planned(
        where='{"lang":"en"}',
        filters='[{"filter":"length","min_chars":9}]',
        holdout="0.1",
        reserve="0.3",
    )
    kept, tally = read(tmp_path, source, Rows("a.jsonl"), Rows("b.jsonl"))
    assert tally.read == 452
    assert tally.dropped == {"empty": 1, "filters.0.length": 1, "where.lang": 50}
    assert 50 < tally.reserved < 110
    assert len(kept) + tally.reserved == 400
    assert 20 < sum(one.split == "heldout" for one in kept) < 60
    assert {one.rows for one in kept} == {0}
    numbers = [one.number for one in kept]
    assert numbers == sorted(set(numbers))
    assert min(numbers) > 2


def test_corrupt_lines_are_told_together(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", ["good"])
    (tmp_path / "b.jsonl").write_text('{\n{"text": "good"}\n{"txt": 1}\n')
    with pytest.raises(InputError, match="is not JSON") as caught:
        read(tmp_path, planned(), Rows("b.jsonl"), Rows("a.jsonl"), Rows("b.jsonl"))
    places = [(one.file, one.line) for one in caught.value.problems]
    assert places == [("b.jsonl", 1), ("b.jsonl", 3)] * 2


def test_telling_of_corrupt_lines_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{\n" * 1000)
    with pytest.raises(InputError, match="is not JSON") as caught:
        read(tmp_path, planned(), Rows("a.jsonl"))
    assert [one.line for one in caught.value.problems] == list(range(1, 11))


def test_corrupt_lines_are_skipped_and_counted_if_the_spec_says_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jsonl").write_text('{\n{"text": "good"}\n' * 30)
    kept, tally = read(tmp_path, planned(on_corrupt="skip"), Rows("a.jsonl"))
    assert (len(kept), tally.corrupt, tally.read) == (30, 30, 30)
