"""The miniature's corpus: markup and examples of this machine, apart from the prose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from runtime import corpus_mini
from runtime.corpus_mini import main, write_mini_corpus
from runtime.corpus_prose import package_prose

FILES = ("markup.jsonl.zst", "examples.jsonl.zst")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_mini_corpus(folder)
    return folder


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with zstandard.open(folder / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_it_is_the_same_every_time(written: Path, tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_markup_is_markup_that_somebody_wrote(written: Path) -> None:
    rows = rows_of(written, FILES[0])
    assert rows
    for one in rows:
        assert one["path"].endswith(corpus_mini.MARKUP_ENDINGS)
        lines = one["text"].count("\n") + 1
        assert len(one["text"]) <= corpus_mini.MAX_MEAN_LINE_CHARS * lines


def test_examples_have_prompts_and_are_no_prose_of_the_quickstart(
    written: Path,
) -> None:
    rows = rows_of(written, FILES[1])
    prose: dict[str, str] = {}
    for package, _, text in package_prose():
        prose[package] = prose.get(package, "") + text
    assert rows
    for one in rows:
        assert one["text"].count(">>> ") >= corpus_mini.MIN_PROMPTS
        assert one["text"].rstrip("\n") not in prose.get(one["package"], "")
