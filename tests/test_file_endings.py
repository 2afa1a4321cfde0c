"""Which files of a folder are documents, and what a folder that is pinned means."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from runtime.file_endings import format_of
from runtime.inputs import Input, locate
from runtime.pin import pin
from runtime.pinned import check_pinned
from specs.errors import InputError

# Languages of the study's tables of code and markup -> a name of a file of each.
STUDY = {
    "java": "A.java",
    "javascript": "a.js",
    "php": "a.php",
    "python": "a.py",
    "c-sharp": "A.cs",
    "typescript": "a.ts",
    "c": "a.h",
    "cpp": "a.cpp",
    "go": "a.go",
    "ruby": "a.rb",
    "shell": "a.sh",
    "kotlin": "A.kt",
    "swift": "A.swift",
    "vue": "A.vue",
    "rust": "a.rs",
    "scala": "A.scala",
    "jsx": "a.jsx",
    "sql": "a.sql",
    "dart": "a.dart",
    "makefile": "Makefile",
    "lua": "a.lua",
    "haskell": "A.hs",
    "smalltalk": "A.st",
    "tex": "a.tex",
    "clojure": "a.clj",
    "markdown": "a.md",
    "yaml": "a.yaml",
    "json": "a.json",
    "html": "a.html",
    "css": "a.css",
    "scss": "a.scss",
    "restructuredtext": "a.rst",
    "toml": "a.toml",
    "rmarkdown": "a.Rmd",
    "sass": "a.sass",
}


@pytest.mark.parametrize("language", STUDY)
def test_file_of_each_language_of_the_study_is_text(language: str) -> None:
    assert format_of(f"src/{STUDY[language]}", "auto") == "text"


def located(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_text("{}")
    found = locate(Input("sources.web", "data", "auto"), folder).files
    return [path.removeprefix("data/") for path in found]


def test_folder_of_code_is_all_its_code(tmp_path: Path) -> None:
    names = ("a.py", "b/c.java", "Makefile", "README.md", "logo.png")
    assert located(tmp_path, *names) == ["Makefile", "README.md", "a.py", "b/c.java"]


@pytest.mark.parametrize("rows", ["a.jsonl", "a.parquet", "a.arrow"])
def test_descriptions_beside_rows_are_no_documents(tmp_path: Path, rows: str) -> None:
    assert located(tmp_path, rows, "dataset_info.json", "x.yaml") == [rows]


@pytest.mark.parametrize("other", ["README.md", "b.ipynb", "b.parquet"])
def test_folder_of_several_formats_is_refused(tmp_path: Path, other: str) -> None:
    with pytest.raises(InputError, match="holds files of several formats"):
        located(tmp_path, "a.jsonl", other)


def test_pinned_folder_goes_on_to_mean_the_same_files(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    data = tmp_path / "data"
    for index, text in enumerate(sentences(3)):
        data.mkdir(exist_ok=True)
        (data / f"{index}.py").write_text(text)
    experiment = experiment_of(spec := write_spec(tmp_path, {"code": {"uri": "data"}}))
    lock = pin(spec, experiment, tmp_path)
    # When this was pinned, no ending but the first was read.
    (data / "build.java").write_text("class A {}")
    check_pinned(experiment, lock, tmp_path)
    (data / "notes.md").write_text("# Notes")
    with pytest.raises(InputError) as caught:
        check_pinned(experiment, lock, tmp_path)
    assert [one.file for one in caught.value.problems] == ["data/notes.md"]


def test_folder_pinned_with_the_new_endings_notices_more_of_them(
    tmp_path: Path,
) -> None:
    make_workspace(tmp_path)
    write_lines(tmp_path / "data" / "a.java", sentences(3))
    experiment = experiment_of(spec := write_spec(tmp_path, {"code": {"uri": "data"}}))
    lock = pin(spec, experiment, tmp_path)
    (tmp_path / "data" / "b.java").write_text("class B {}")
    with pytest.raises(InputError, match="is not in the lock"):
        check_pinned(experiment, lock, tmp_path)
