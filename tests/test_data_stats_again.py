"""Funnels that are made again, and what is told where that can't be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from funnel_corpus import SPEC, codemix, funnels, prepare, prepared, small_shards

from specs.loading import load_lock, lock_path, save_lock


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("funnel") / "study")


@pytest.fixture
def copied(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a prepared workspace, to be changed, as the current folder."""
    workspace = shutil.copytree(study, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(workspace)
    small_shards(monkeypatch)
    return workspace


def test_any_number_of_workers_leaves_the_same_funnels(copied: Path) -> None:
    before = funnels(copied)
    shutil.rmtree(copied / ".codemix" / "stores")
    shutil.rmtree(copied / ".codemix" / "funnels")
    prepare(copied, num_workers=3)
    assert funnels(copied) == before


def test_store_without_a_funnel_gets_one_when_it_is_asked_for(copied: Path) -> None:
    shown, before = codemix("data", "stats", SPEC), funnels(copied)
    shutil.rmtree(copied / ".codemix" / "funnels")
    again = codemix("data", "stats", SPEC)
    assert again.stdout == shown.stdout
    assert "read web" in again.stderr
    assert funnels(copied) == before
    assert "read web" not in codemix("data", "stats", SPEC).stderr


def test_damaged_funnel_is_made_again(copied: Path) -> None:
    before = funnels(copied)
    for name, data in before.items():
        (copied / ".codemix" / "funnels" / name).write_bytes(data[:-9])
    assert codemix("data", "stats", SPEC).exit_code == 0
    assert funnels(copied) == before


def test_documents_that_changed_since_are_told(copied: Path) -> None:
    path = copied / "data" / "docs.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    ask = ("data", "sample", SPEC, "--source", "docs")
    path.write_text("".join(reversed(lines)), encoding="utf-8")
    shown = codemix(*ask)
    assert shown.exit_code == 4
    assert "another document is there than was prepared" in shown.stderr
    path.write_text("", encoding="utf-8")
    assert "the document is no longer there" in codemix(*ask).stderr
    path.unlink()
    shown = codemix(*ask)
    assert shown.exit_code == 4
    assert "data/docs.jsonl" in shown.stderr
    assert "fix: codemix pin SPEC" in shown.stderr


def test_funnel_of_files_that_changed_since_is_not_made(copied: Path) -> None:
    path = copied / "data" / "docs.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(True)[1:]))
    shutil.rmtree(copied / ".codemix" / "funnels")
    shown = codemix("data", "stats", SPEC, "--source", "docs")
    assert shown.exit_code == 4
    assert "sources.docs: what is in its files now is not what was" in shown.stderr
    path.unlink()
    shown = codemix("data", "stats", SPEC, "--source", "docs")
    assert shown.exit_code == 4
    assert "data/docs.jsonl: is missing, and the funnel of docs is" in shown.stderr


@pytest.mark.parametrize("name", ["stats", "sample"])
def test_what_is_not_pinned_or_not_prepared_is_told_what_to_run(
    copied: Path, name: str
) -> None:
    ask = ("data", name, SPEC, "--source", "web")
    written = (copied / SPEC).read_text("utf-8")
    changed = json.loads(written)
    changed["sources"]["web"]["holdout"] = 0.06
    (copied / SPEC).write_text(json.dumps(changed))
    assert_refused(ask, "sources.web: the spec has changed since it was prepared")
    (copied / SPEC).write_text(written)
    shutil.rmtree(copied / ".codemix" / "stores")
    assert_refused(ask, "there is no complete token store here")
    path = lock_path(copied / SPEC)
    bare = {"stores": {}, "tokenizer_sha256": None, "tokenizer_identity": None}
    save_lock(load_lock(path).model_copy(update=bare), path)
    assert_refused(ask, "is not prepared: the lock has no tokenizer")
    path.unlink()
    shown = codemix(*ask)
    assert (shown.exit_code, "fix: codemix pin" in shown.stderr) == (4, True)


def assert_refused(ask: tuple[str, ...], what: str) -> None:
    shown = codemix(*ask)
    assert shown.exit_code == 4
    assert what in shown.stderr
    assert "codemix prepare" in shown.stderr
