"""Files that change between the check of their bytes and their reading."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from runtime.pin import pin
from runtime.prepare import builders_of, check_pinned, prepare
from runtime.progress import ignore_progress
from runtime.store_builder import build_stores
from runtime.watched import WatchedFiles
from runtime.workers import Done
from specs.errors import InputError
from specs.resolve import plan_experiment

CHANGED = "changed after its bytes were checked, while it was being read"


def rewrite(path: Path) -> None:
    """Write other bytes in place, as many as there were."""
    path.write_bytes(path.read_bytes().replace(b"doc", b"DOC"))


def replace(path: Path) -> None:
    """Put another file in its place that is as large and as old."""
    before = path.stat()
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes().replace(b"doc", b"DOC"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def grow(path: Path) -> None:
    """Append, and turn the clock back."""
    before = path.stat()
    with path.open("ab") as file:
        file.write(b"\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewrite, replace, grow, Path.unlink])
def test_change_of_a_file_is_noticed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    for name in ("a", "b"):
        write_lines(tmp_path / name, sentences(3))
    watched = WatchedFiles(tmp_path, ["a", "b", "later"])
    assert watched.changes(["a", "b", "later"]) == []
    change(tmp_path / "a")
    assert [(one.file, one.what) for one in watched.changes(["b", "a", "a"])] == [
        ("a", CHANGED)
    ]


def test_reading_and_linking_change_nothing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a", sentences(3))
    watched = WatchedFiles(tmp_path, ["a"])
    path.read_bytes()
    os.link(path, tmp_path / "link")
    path.chmod(0o444)
    assert watched.changes(["a"]) == []


def test_file_that_comes_is_noticed(tmp_path: Path) -> None:
    watched = WatchedFiles(tmp_path, ["a"])
    write_lines(tmp_path / "a", sentences(3))
    assert watched.changes(["a"])


class ChangingPool:
    """Workers that finish every job, while somebody writes to a file."""

    def __init__(self, path: Path):
        self.path = path

    def run(self, jobs: list[Any]) -> Iterator[Done]:
        rewrite(self.path)
        for index in range(len(jobs)):
            record = {"name": "x", "sha256": "0", "num_bytes": 0}
            numbers = dict.fromkeys(
                ("num_tokens", "num_documents", "num_text_bytes"), 0
            )
            split = {"tokens": record, "documents": record, **numbers}
            answer = {
                "splits": {"train": split, "heldout": split},
                "dropped": {},
                **dict.fromkeys(("read", "reserved", "corrupt"), 0),
            }
            yield Done(index, answer)


def test_shards_of_a_file_that_changed_are_not_kept(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    for name in ("a", "b"):
        write_lines(tmp_path / "data" / f"{name}.jsonl", sentences(9000))
    experiment = experiment_of(
        spec := write_spec(tmp_path, {"web": {"uri": "data/*.jsonl"}})
    )
    plan, lock = plan_experiment(experiment), pin(spec, experiment, tmp_path)
    [builder] = builders_of(plan, lock, tmp_path, "0" * 64)
    files = [{job.files[one.file] for one in job.ranges} for job in builder.jobs()]
    touched = ["data/a.jsonl" in one for one in files]
    assert set(touched) == {True, False}
    pool: Any = ChangingPool(tmp_path / "data" / "a.jsonl")
    watched = WatchedFiles(tmp_path, lock.paths)
    with pytest.raises(InputError) as caught:
        build_stores([builder], pool, watched, ignore_progress)
    assert [(one.file, one.what) for one in caught.value.problems] == [
        ("data/a.jsonl", CHANGED)
    ]
    assert not builder.is_complete
    kept = [
        (builder.folder / f"shard-{i:05d}.json").exists() for i in range(len(files))
    ]
    assert kept == [not one for one in touched]


def test_tokenizer_of_a_file_that_changed_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workspace(tmp_path)
    path = write_lines(tmp_path / "data" / "a.jsonl", sentences(400))
    original = path.read_bytes()
    spec = write_spec(tmp_path, {"web": {"uri": "data/a.jsonl"}})
    experiment = experiment_of(spec)
    plan, lock = plan_experiment(experiment), pin(spec, experiment, tmp_path)

    def check_and_change(*arguments: Any) -> Any:
        notes = check_pinned(*arguments)
        path.unlink()  # DVC may have linked it to its cache.
        path.write_bytes(original.replace(b"doc", b"DOC"))
        return notes

    monkeypatch.setattr("runtime.prepare.check_pinned", check_and_change)
    with pytest.raises(InputError, match=CHANGED) as caught:
        prepare(experiment, plan, lock, tmp_path, 1)
    assert [one.file for one in caught.value.problems] == ["data/a.jsonl"]
    assert not list((tmp_path / ".codemix").rglob("*.json"))
    shutil.rmtree(tmp_path / ".codemix")
