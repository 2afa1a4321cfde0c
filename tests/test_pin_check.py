"""Pinned bytes against the lock: each way to differ has its own message and fix."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from ledger.dvc_store import DvcStore
from runtime.pin import pin
from runtime.pinned import check_pinned
from specs.errors import InputError, Problem
from specs.loading import load_lock, lock_path
from specs.lock import Lock

ONE = "data/one.jsonl"
SOURCES = {"one": {"uri": ONE}, "docs": {"uri": "data/docs"}}


@pytest.fixture(scope="module")
def pinned_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = make_workspace(tmp_path_factory.mktemp("pinned") / "study")
    write_lines(workspace / ONE, sentences(5))
    (workspace / "data" / "docs").mkdir()
    for name in ("a.txt", "b.txt"):
        (workspace / "data" / "docs" / name).write_text(f"text {name}")
    spec = write_spec(workspace, SOURCES)
    pin(spec, experiment_of(spec), workspace)
    return workspace


@pytest.fixture
def workspace(pinned_workspace: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pinned_workspace, tmp_path / "study", symlinks=True)


def check(workspace: Path) -> tuple[Problem, ...]:
    spec = workspace / "specs" / "small.yaml"
    return check_pinned(experiment_of(spec), load_lock(lock_path(spec)), workspace)


def problems(workspace: Path) -> list[str]:
    with pytest.raises(InputError, match=r".") as caught:
        check(workspace)
    return [str(problem) for problem in caught.value.problems]


def edit_lock(workspace: Path, edit: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = workspace / "specs" / "small.lock"
    value = json.loads(path.read_text())
    edit(value)
    Lock.model_validate(value)
    path.write_text(json.dumps(value))


def cached(workspace: Path, path: str) -> Path:
    store = DvcStore(workspace)
    found = store.cached(store.md5_of(path) or "")
    assert found is not None
    return found


def overwrite(path: Path, data: bytes) -> None:
    """Change bytes without any sign that DVC looks at."""
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_untouched_bytes_are_those_of_the_lock(workspace: Path) -> None:
    assert check(workspace) == ()


def test_flipped_bit_is_found_though_size_and_time_are_the_same(
    workspace: Path,
) -> None:
    data = bytearray((workspace / ONE).read_bytes())
    data[100] ^= 1
    overwrite(workspace / ONE, bytes(data))
    (found,) = problems(workspace)
    size = len(data)
    assert found.startswith(
        f"{ONE}: sources.one: has other bytes than the lock says: {size} bytes, sha256 "
    )
    assert found.endswith(
        f"\n  fix: delete it and dvc checkout {ONE}.dvc, or codemix pin the spec again "
        "to accept the new bytes"
    )


def test_damaged_cache_is_not_offered_as_the_way_back(workspace: Path) -> None:
    overwrite(workspace / ONE, b"other")
    where = cached(workspace, ONE)
    overwrite(where, b"other")
    (found,) = problems(workspace)
    assert found.endswith(
        "\n  fix: the DVC cache is damaged too: delete the file and "
        f"{where.relative_to(workspace)}, then dvc pull {ONE}.dvc"
    )


def test_missing_file_comes_back_from_the_cache(workspace: Path) -> None:
    (workspace / ONE).unlink()
    assert problems(workspace) == [
        f"{ONE}: sources.one: is missing; the DVC cache holds it\n"
        f"  fix: dvc checkout {ONE}.dvc"
    ]


def test_missing_folder_is_named_file_by_file(workspace: Path) -> None:
    shutil.rmtree(workspace / "data" / "docs")
    assert problems(workspace) == [
        f"data/docs/{name}: sources.docs: is missing; the DVC cache holds it\n"
        "  fix: dvc checkout data/docs.dvc"
        for name in ("a.txt", "b.txt")
    ]


def test_deleted_cache_is_an_error_where_the_data_is_gone(workspace: Path) -> None:
    (workspace / ONE).unlink()
    (workspace / "data" / "docs" / "b.txt").unlink()
    shutil.rmtree(workspace / ".dvc" / "cache")
    what = "is missing from the workspace and from the DVC cache"
    assert problems(workspace) == [
        f"data/docs/b.txt: sources.docs: {what}\n  fix: dvc pull data/docs.dvc",
        f"{ONE}: sources.one: {what}\n  fix: dvc pull {ONE}.dvc",
    ]


def test_deleted_cache_is_a_note_where_the_data_is_here(workspace: Path) -> None:
    shutil.rmtree(workspace / ".dvc" / "cache")
    notes = check(workspace)
    assert [str(note) for note in notes] == [
        f"{path}: {key}: is not in the DVC cache, so dvc push can't share it\n"
        f"  fix: dvc commit --force {name}"
        for path, key, name in [
            ("data/docs/a.txt", "sources.docs", "data/docs.dvc"),
            ("data/docs/b.txt", "sources.docs", "data/docs.dvc"),
            (ONE, "sources.one", f"{ONE}.dvc"),
        ]
    ]


def test_file_that_came_to_a_folder_is_found(workspace: Path) -> None:
    (workspace / "data" / "docs" / "c.txt").write_text("new")
    assert problems(workspace) == [
        "data/docs/c.txt: sources.docs: belongs to data/docs but is not in the lock\n"
        "  fix: move it away, or codemix pin the spec again"
    ]


def test_lock_with_an_edited_digest_is_found(workspace: Path) -> None:
    def edit(lock: dict) -> None:  # type: ignore[type-arg]
        file = lock["inputs"]["sources.one"]["files"][0]
        file["sha256"] = "0" * 64

    edit_lock(workspace, edit)
    assert problems(workspace) == [
        f"{ONE}: sources.one: the lock was edited: its sha256 is not that of the bytes "
        "which DVC tracks\n  fix: restore the lock, or codemix pin the spec again"
    ]


def test_lock_with_an_edited_size_is_found(workspace: Path) -> None:
    edit_lock(
        workspace,
        lambda lock: lock["inputs"]["sources.one"]["files"][0].update(bytes=7),
    )
    (found,) = problems(workspace)
    assert "the lock was edited: its bytes is not that" in found


def test_dvc_file_that_moved_on_is_found(workspace: Path) -> None:
    path = workspace / f"{ONE}.dvc"
    md5 = DvcStore(workspace).md5_of(ONE)
    assert md5 is not None
    path.write_text(path.read_text().replace(md5, "1a" * 16))
    assert problems(workspace) == [
        f"{ONE}: sources.one: the lock and {ONE}.dvc name different bytes\n"
        "  fix: codemix pin the spec again"
    ]


def test_deleted_dvc_file_is_found(workspace: Path) -> None:
    (workspace / f"{ONE}.dvc").unlink()
    assert problems(workspace) == [
        f"{ONE}: sources.one: is no longer tracked by DVC\n"
        "  fix: put its .dvc file back, or codemix pin the spec again"
    ]


def test_dvc_file_with_a_merge_conflict_is_named(workspace: Path) -> None:
    path = workspace / f"{ONE}.dvc"
    path.write_text(f"<<<<<<< ours\n{path.read_text()}=======\n>>>>>>> theirs\n")
    (found,) = problems(workspace)
    assert found.startswith("one.jsonl.dvc: can't be read: ")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (
            {**SOURCES, "new": {"uri": ONE}},
            "sources.new: is in the spec but not in the lock",
        ),
        (
            {"one": {"uri": ONE}},
            "sources.docs: is in the lock but no longer in the spec",
        ),
        (
            {**SOURCES, "one": {"uri": "data/two.jsonl"}},
            "sources.one: the spec names 'data/two.jsonl', the lock 'data/one.jsonl'",
        ),
    ],
)
def test_spec_that_moved_on_is_found(
    workspace: Path, sources: dict[str, dict[str, str]], expected: str
) -> None:
    write_spec(workspace, sources)
    assert problems(workspace) == [f"{expected}\n  fix: codemix pin the spec again"]


def test_all_differences_are_told_at_once(workspace: Path) -> None:
    (workspace / ONE).unlink()
    (workspace / "data" / "docs" / "a.txt").write_text("other")
    (workspace / "data" / "docs" / "c.txt").write_text("new")
    found = problems(workspace)
    assert [problem.split(":")[0] for problem in found] == [
        "data/docs/c.txt",
        "data/docs/a.txt",
        ONE,
    ]
