"""Deduplication of small sources: what brute force drops, however it is done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deduplicated import Sources, jaccard, shingles

from runtime.deduplication.folders import drops_folder
from runtime.deduplication.report import Deduplicated
from runtime.progress import Progress
from specs.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
RULE: dict[str, Any] = {"sources": ["web", "text"], "near": {"threshold": 0.8}}
WORDS = [f"w{number}" for number in range(400)]


def mixed_texts(count: int, seed: int = 1) -> dict[str, list[list[str]]]:
    """Make texts of which many are copies, and many nearly so."""
    rng = random.Random(seed)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(0, 100)))

    def edited(words: str, share: float) -> str:
        return " ".join(
            rng.choice(WORDS) if rng.random() < share else word
            for word in words.split(" ")
        )

    bases = [text() for _ in range(count // 3)]

    def one() -> str:
        kind, base = rng.random(), rng.choice(bases)
        if kind < 0.3:
            return base
        if kind < 0.4:
            return base.replace(" ", "\n ")
        return edited(base, 0.02) if kind < 0.8 else text()

    def file() -> list[str]:
        # Documents without a character never pass the filters.
        return [one() or "-" for _ in range(count)]

    return {"text": [file(), file()], "web": [file()], "other": [file()]}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sources": ["text", "web"]},
        {"near": None},
        {"normalise": "whitespace"},
        {"exact": False},
        {"near": {"threshold": 0.5, "permutations": 256}},
    ],
)
def test_what_brute_force_drops_is_dropped(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    rule = {**RULE, **change}
    sources = Sources(tmp_path, mixed_texts(120), rule, holdout=0.1)
    report = sources.deduplicate()
    expected = sources.expected()
    for found in report.sources:
        assert sources.dropped(found.source) == expected[found.source]
        for reason, removed in found.removed.items():
            wanted = list(expected[found.source].values()).count(reason)
            assert removed.documents == wanted
    assert [one.source for one in report.sources] == rule["sources"]
    assert all(expected.values()), "there is something to find in every source"


def test_no_kept_training_document_is_like_a_kept_heldout_one(tmp_path: Path) -> None:
    sources = Sources(tmp_path, mixed_texts(150), RULE, holdout=0.2)
    sources.deduplicate()
    splits: dict[str, list[Any]] = {"heldout": [], "train": []}
    for split, name, place, text in sources.documents(("web", "text")):
        if place not in sources.dropped(name):
            splits[split].append(shingles(text, 5))
    assert all(splits.values())
    for held in splits["heldout"]:
        for trained in splits["train"]:
            assert not held or jaccard(held, trained) < 0.8


def test_training_documents_dropped_for_heldout_ones_are_counted(
    tmp_path: Path,
) -> None:
    texts = [" ".join([*WORDS[:200], f"end {number}"]) for number in range(40)]
    sources = Sources(
        tmp_path, {"web": [texts]}, {**RULE, "sources": ["web"]}, holdout=0.5
    )
    splits = [split for split, *_ in sources.documents(["web"])]
    (found,) = sources.deduplicate().sources
    near = found.removed["deduplicate.near"]
    assert near.documents == 39
    assert near.like_heldout == splits.count("train") > 10
    assert found.removed["deduplicate.exact"].like_heldout == 0


def test_a_source_behind_changes_nothing_of_those_before(tmp_path: Path) -> None:
    texts = mixed_texts(80)
    less = Sources(tmp_path / "less", texts, RULE, holdout=0.1)
    rule = {**RULE, "sources": ["web", "text", "other"]}
    more = Sources(tmp_path / "more", texts, rule, holdout=0.1)
    less.deduplicate()
    more.deduplicate()
    for name in ("web", "text"):
        folders = [
            drops_folder(name, one.plan, one.lock, one.workspace)
            for one in (less, more)
        ]
        assert folders[0].name == folders[1].name
        assert less.dropped(name) == more.dropped(name)
    assert more.dropped("other")


def files_of(workspace: Path) -> dict[str, bytes]:
    top = workspace / ".codemix" / "dedup"
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.rglob("*"))
        # A kill in the middle of a write may leave its temporary file.
        if path.is_file() and path.suffix != ".tmp"
    }


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    texts = mixed_texts(100)
    for num_workers in (1, 3):
        sources = Sources(tmp_path / str(num_workers), texts, RULE)
        sources.plan_small_shards()
        sources.deduplicate(num_workers)
    one, three = (files_of(tmp_path / name) for name in ("1", "3"))
    assert one == three
    assert len([name for name in one if name.endswith(".sketch")]) > 10


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from deduplicated import Sources
from test_deduplication import RULE, mixed_texts
sources = Sources(Path(sys.argv[1]), mixed_texts(300), RULE)
sources.plan_small_shards()
sources.deduplicate(2)
"""


def start(workspace: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace), str(ROOT / "tests")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("pattern", ["*/*/00003.json", "*/*/bands-0003-*.npz"])
def test_killed_and_resumed_writes_the_same_bytes(tmp_path: Path, pattern: str) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    process = start(straight)
    assert process.communicate() == ("", "")
    process = start(killed)
    folder = killed / ".codemix" / "dedup"
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(folder.glob("*/report.json")), "it was killed too late"
    (reached, *_) = folder.glob(pattern)
    before = reached.stat().st_mtime_ns
    is_kept = reached.suffix == ".json"
    process = start(killed)
    assert process.communicate() == ("", "")
    if is_kept:
        assert reached.stat().st_mtime_ns == before
    assert files_of(killed) == files_of(straight)


def test_partitions_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = mixed_texts(60)
    for parts in (1, 3):
        monkeypatch.setattr(
            "runtime.deduplication.run.num_partitions", lambda _, parts=parts: parts
        )
        Sources(tmp_path / str(parts), texts, RULE).deduplicate()
    assert files_of(tmp_path / "1") == files_of(tmp_path / "3")


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["...", "...", "?"]])
def test_sources_of_next_to_nothing_are_no_special_case(
    tmp_path: Path, texts: list[str]
) -> None:
    found = {"web": [texts], "text": [["a b c"]]}
    sources = Sources(tmp_path, found, RULE, holdout=0)
    sources.deduplicate()
    assert sources.dropped("web") == sources.expected()["web"]
    assert sources.dropped("text") == {}


def test_a_boilerplate_text_does_not_go_quadratic(tmp_path: Path) -> None:
    rng = random.Random(3)
    licence = rng.choices(WORDS, k=200)
    texts = [" ".join([*licence, f"copyright {number}"]) for number in range(1500)]
    sources = Sources(
        tmp_path, {"web": [texts]}, {**RULE, "sources": ["web"]}, holdout=0
    )
    start_seconds = time.process_time()
    report = sources.deduplicate()
    assert report.sources[0].removed["deduplicate.near"].documents == 1499
    assert report.clusters[0].documents == 1499
    assert time.process_time() - start_seconds < 20


def test_corrupt_rows_are_told_and_what_is_done_is_kept(tmp_path: Path) -> None:
    sources = Sources(tmp_path, mixed_texts(20), RULE)
    path = tmp_path / "data" / "web" / "0.jsonl"
    good = path.read_text()
    path.write_text(good + '{"text": 7}\n')
    with pytest.raises(InputError, match="must be a string") as caught:
        sources.deduplicate()
    assert caught.value.problems[0].line == 21
    kept = [name for name in files_of(tmp_path) if name.endswith(".sketch")]
    assert len(kept) == 1
    path.write_text(good)
    sources.deduplicate()
    assert isinstance(sources.deduplicate(), Deduplicated)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    sources = Sources(tmp_path, mixed_texts(60), RULE, holdout=0.1)
    path = tmp_path / "data" / "web" / "0.jsonl"
    good = path.read_bytes()

    def change_at(task: str) -> None:
        def listen(progress: Progress) -> None:
            if progress.task == task and progress.done_bytes == progress.total_bytes:
                path.write_bytes(good.replace(b"w1", b"w2"))

        with pytest.raises(InputError, match="changed after its bytes were checked"):
            sources.deduplicate(progress=listen)
        path.write_bytes(good)

    for task in ("hash documents", "read candidates"):
        change_at(task)
    sources.deduplicate()
    assert sources.dropped("web") == sources.expected()["web"]


def test_a_damaged_sketch_is_made_again(tmp_path: Path) -> None:
    sources = Sources(tmp_path, mixed_texts(60), RULE)
    sources.deduplicate()
    before = files_of(tmp_path)
    for path in (tmp_path / ".codemix" / "dedup").rglob("*.sketch"):
        path.write_bytes(path.read_bytes()[:-1])
    folder = drops_folder("text", sources.plan, sources.lock, tmp_path)
    (folder / "report.json").unlink()
    sources.deduplicate()
    assert files_of(tmp_path) == before


def test_a_subset_is_read_from_the_files_of_its_source(tmp_path: Path) -> None:
    sources = Sources(
        tmp_path, {"web": [["a", "a"]]}, {**RULE, "sources": ["web"]}, holdout=0
    )
    part = sources.plan.sources["web"].model_copy(update={"pinned_as": "web"})
    rule = sources.plan.deduplicate
    assert rule is not None
    sources.plan = sources.plan.model_copy(
        update={
            "sources": {"web_python": part},
            "deduplicate": rule.model_copy(update={"sources": ("web_python",)}),
        }
    )
    (found,) = sources.deduplicate().sources
    assert found.source == "web_python"
    assert found.removed["deduplicate.exact"].documents == 1
