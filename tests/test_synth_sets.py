"""Whole sets of synthetic problems: the same bytes, resumed, refused, described."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codemix_cli.main import cli
from runtime.documents import Document, Rows, read_rows
from runtime.readers import build_reader
from runtime.synth import generate
from runtime.synth.exclusion import read_excluded
from runtime.synth.generate import SyntheticSet, synthesise
from runtime.synth.near import share_of_near_duplicates
from runtime.synth.shard import read_record, read_shard, write_shard
from specs.errors import InputError

FAMILIES = ("partition", "recurrences", "accounts")
ROOT = Path(__file__).resolve().parent.parent


def make(folder: Path, *, count: int = 30, **changes: Any) -> SyntheticSet:
    usual = {"seed": 4, "families": FAMILIES, "sandbox": "process"}
    return synthesise(folder, count=count, **{**usual, **changes})


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "PROBLEMS_PER_SHARD", 10)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three shards, made by one worker."""
    folder = tmp_path_factory.mktemp("synth") / "whole"
    before = generate.PROBLEMS_PER_SHARD
    generate.PROBLEMS_PER_SHARD = 10
    try:
        make(folder)
    finally:
        generate.PROBLEMS_PER_SHARD = before
    return folder


def test_set_has_shards_records_a_manifest_and_a_card(whole: Path) -> None:
    names = set(contents(whole))
    assert {"request.json", "manifest.json", "card.json", "README.md"} <= names
    shards = json.loads((whole / "manifest.json").read_text())["shards"]
    assert [shard["name"] for shard in shards] == [
        f"synth-{number:05d}.jsonl.zst" for number in range(3)
    ]
    for shard in shards:
        assert contents(whole)[shard["name"]] == shard["sha256"]
        assert len(read_shard(whole / shard["name"])) == shard["num_problems"]


def test_workers_change_no_byte(
    whole: Path, tmp_path: Path, small_shards: None
) -> None:
    make(tmp_path / "two", num_workers=2)
    assert contents(tmp_path / "two") == contents(whole)


def test_what_is_not_of_the_set_is_left_alone(tmp_path: Path) -> None:
    others = tmp_path / "deeper" / ".others.tmp"
    others.parent.mkdir()
    others.write_bytes(b"mine")
    make(tmp_path, count=2)
    assert others.read_bytes() == b"mine"


def test_larger_count_adds_to_a_set(
    whole: Path, tmp_path: Path, small_shards: None
) -> None:
    make(tmp_path / "grown", count=15)
    make(tmp_path / "grown")
    assert contents(tmp_path / "grown") == contents(whole)


def test_what_is_whole_is_kept_and_what_is_damaged_is_made_again(
    whole: Path, tmp_path: Path, small_shards: None
) -> None:
    folder = tmp_path / "damaged"
    make(folder)
    kept = (folder / "synth-00000.jsonl.zst").stat().st_mtime_ns
    (folder / "synth-00001.jsonl.zst").write_bytes(b"cut")
    (folder / "records" / "synth-00002.json").unlink()
    (folder / "records" / ".synth-00002.json.0f.tmp").write_bytes(b"half")
    make(folder)
    assert contents(folder) == contents(whole)
    assert (folder / "synth-00000.jsonl.zst").stat().st_mtime_ns == kept


def test_killed_run_goes_on_where_it_was(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    script = (
        "from runtime.synth import generate\ngenerate.PROBLEMS_PER_SHARD = 10\n"
        "from pathlib import Path\n"
        f"generate.synthesise(Path({str(folder)!r}), count=30, seed=4, "
        f"families={FAMILIES!r}, sandbox='process')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "records" / "synth-00000.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert again.returncode == 0
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 5}, "seed of this set is 4, got 5"),
        ({"count": 10}, "count of this set is 30, got 10"),
        ({"families": ["partition"]}, "families of this set"),
    ],
)
def test_folder_of_another_set_is_refused(
    whole: Path, changes: dict[str, Any], told: str, small_shards: None
) -> None:
    before = contents(whole)
    with pytest.raises(InputError, match=told):
        make(whole, **changes)
    assert contents(whole) == before


def test_folder_with_other_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="holds documents that are not"):
        make(tmp_path)


def test_count_beyond_the_families_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 families make at most"):
        make(tmp_path / "much", count=10**6)
    assert not (tmp_path / "much").exists()


def test_planted_duplicate_is_taken_out_and_told(
    whole: Path, tmp_path: Path, small_shards: None
) -> None:
    folder = tmp_path / "planted"
    make(folder)
    first = read_shard(folder / "synth-00000.jsonl.zst")[0]
    second = read_shard(folder / "synth-00001.jsonl.zst")
    record = read_record(folder, "synth-00001.jsonl.zst")
    assert record is not None
    planted = {**first, "id": "planted-0", "index": second[0]["index"]}
    fields = {"name": record.name, "start": record.start, "stop": record.stop,
              "rejected": record.rejected, "given_up": record.given_up}  # fmt: skip
    write_shard(folder, fields, [planted, *second[1:]])
    made = make(folder)
    assert made.shards[1].duplicates == ("planted-0",)
    assert made.card["num_duplicates"] == 1
    assert len(read_shard(folder / "synth-00001.jsonl.zst")) == len(second) - 1


def test_card_counts_what_is_there(whole: Path) -> None:
    card = json.loads((whole / "card.json").read_text())
    problems = [one for path in sorted(whole.glob("*.zst")) for one in read_shard(path)]
    assert card["num_problems"] == len(problems)
    assert card["num_text_bytes"] == sum(len(one["text"].encode()) for one in problems)
    assert sum(card["difficulties"].values()) == len(problems)
    assert {row["name"] for row in card["families"]} == set(FAMILIES)
    assert card["num_killed"] <= card["num_mutants"] - card["num_alike"]
    told = (whole / "README.md").read_text()
    assert f"{len(problems)} problems of 3 families" in told


def test_set_is_readable_as_a_source(whole: Path) -> None:
    name = "synth-00000.jsonl.zst"
    reader = build_reader(None, "text", "jsonl")
    read = read_rows(whole, Rows(name), file_format="jsonl", reader=reader)
    texts = [one.text for one in read if isinstance(one, Document)]
    assert texts == [one["text"] for one in read_shard(whole / name)]


def test_near_duplicates_are_counted_once_each() -> None:
    text = " ".join(f"word{n}" for n in range(200))
    near = text.replace("word150", "other")
    far = " ".join(f"thing{n}" for n in range(200))
    assert share_of_near_duplicates([text, far]) == 0
    assert share_of_near_duplicates([text, far, near]) == pytest.approx(1 / 3)


def test_ngrams_of_different_lengths_are_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "ngrams.txt"
    path.write_text("a b c\na b\n")
    with pytest.raises(
        InputError, match=r"ngrams.txt:2: all n-grams must have 3 words"
    ):
        read_excluded([path])


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", "synth", *arguments], prog_name="codemix")


def test_command_makes_a_set_and_prints_what_came_of_it(tmp_path: Path) -> None:
    out = str(tmp_path / "set")
    arguments = ["--count", "6", "--out", out, "--families", "partition,points",
                 "--sandbox", "process"]  # fmt: skip
    shown = codemix(*arguments, "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert (told["num_problems"], told["num_families"]) == (6, 2)
    again = codemix(*arguments)
    assert again.exit_code == 0
    assert told["digest"][:12] in again.stdout
    assert codemix(*arguments, "--seed", "1").exit_code == 4
    assert codemix("--out", out).exit_code == 2
