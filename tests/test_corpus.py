"""The quickstart's corpus: real texts of this machine, the same ones every time."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from runtime import corpus
from runtime.corpus import main, write_corpus
from runtime.corpus_prose import package_prose, sections
from runtime.documents import Document, Rows, count_documents, read_rows
from runtime.file_endings import format_of
from runtime.readers import build_reader
from specs.errors import InputError

FILES = ("code.jsonl.gz", "prose.jsonl.zst", "reference.parquet")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


def documents_of(folder: Path, name: str) -> list[Document]:
    file_format = format_of(name, "auto")
    assert file_format is not None
    found = list(
        read_rows(
            folder,
            Rows(name),
            file_format=file_format,
            reader=build_reader(None, "text", file_format),
            columns=frozenset({"package", "path"}),
        )
    )
    assert count_documents(folder / name, file_format) == len(found)
    documents = [one for one in found if isinstance(one, Document)]
    assert documents == found
    return documents


def test_corpus_is_the_same_every_time(written: Path, tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_every_document_says_whose_it_is(written: Path, name: str) -> None:
    documents = documents_of(written, name)
    assert all(one.fields["package"] and one.fields["path"] for one in documents)
    assert len({one.text for one in documents}) == len(documents)
    assert all(one.text.strip() for one in documents)


def test_sizes_suit_a_quick_start(written: Path) -> None:
    sizes = {
        name: sum(len(one.text.encode()) for one in documents_of(written, name))
        for name in FILES
    }
    assert 2e6 <= sizes["code.jsonl.gz"] <= 10e6
    assert 1.5e6 <= sizes["prose.jsonl.zst"] <= 8e6
    assert 1e5 <= sizes["reference.parquet"] <= 1e6


def test_code_is_the_standard_library(written: Path) -> None:
    paths = {one.fields["path"] for one in documents_of(written, "code.jsonl.gz")}
    assert {"json/decoder.py", "dataclasses.py"} <= paths
    assert not any(path.startswith(("test/", "site-packages/")) for path in paths)


def test_prose_is_mostly_letters(written: Path) -> None:
    documents = documents_of(written, "prose.jsonl.zst")
    letters = sum(c.isalpha() or c == " " for one in documents for c in one.text)
    assert letters / sum(len(one.text) for one in documents) > 0.75
    assert len({one.fields["package"] for one in documents}) > 20
    assert "codemix" not in {one.fields["package"] for one in documents}


def test_too_little_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(corpus.sysconfig, "get_path", lambda _: str(tmp_path / "lib"))
    with pytest.raises(InputError, match=r"only 0 bytes of text for code\.jsonl\.gz"):
        write_corpus(tmp_path / "out")
    assert main([str(tmp_path / "out")]) == 4
    assert "fix: install Python with its standard library" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_package_with_damaged_files_is_read_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prose = "Plain words about what this package does, one after the other. " * 20
    package = tmp_path / "odd-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Name: Odd\nVersion: 1\n\n{prose}")
    (package / "RECORD").write_text("odd.py,,\nbinary.md,,\nabsent.md,,\ndoc.md,,\n")
    (tmp_path / "binary.md").write_bytes(b"\xff" * 999)
    (tmp_path / "doc.md").write_text(f"# Doc\n\n![badge](x)\n{prose}   \n")
    (tmp_path / "odd.py").write_text(
        f'"""{prose}"""\nCODE = """\n{"x = 1; " * 99}\n"""\n'
        'def f():\n    """Short."""\n'
    )
    found = metadata.Distribution.discover(path=[str(tmp_path)])
    monkeypatch.setattr(metadata, "distributions", lambda: found)
    assert list(package_prose()) == [
        ("odd", "METADATA", prose.strip() + "\n"),
        ("odd", "doc.md", f"# Doc\n\n{prose.strip()}\n"),
        ("odd", "odd.py", prose.strip() + "\n"),
    ]


def test_sections_are_cut_at_headings_and_lose_nothing() -> None:
    long = "words and words\n" * 30
    document = (
        f"First\n*****\n\n{long}\nSecond\n======\n\nshort\n\nThird\n=====\n\n{long}"
    )
    found = list(sections(document))
    assert [section.split("\n")[0] for section in found] == ["First", "Second"]
    assert "".join("".join(found).split()) == "".join(document.split())


def test_wrong_arguments_are_a_usage_error() -> None:
    assert main([]) == 2
