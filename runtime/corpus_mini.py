"""What `specs/mini` trains on beside the quickstart's data, from installed packages.

`python -m runtime.corpus_mini FOLDER` writes two files: markup-style data (JSON, YAML,
CSS, HTML, TOML), and documentation that has examples in it, which stands for the
code-adjacent data of forums, issues and notebooks. As in `runtime.corpus`, nothing is
downloaded, and what comes out depends on what is installed and on nothing else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.corpus import Corpus, Text, main_of, write_files
from runtime.corpus_prose import (
    MAX_PACKAGE_SOURCE_BYTES,
    docstrings,
    documents_of,
    package_prose,
    packages,
    read_installed,
)

MARKUP_ENDINGS = (".json", ".yaml", ".yml", ".css", ".html", ".toml")
MAX_FILE_CHARS = 20_000
"""Of markup: what is longer is a table or was packed by a program."""
MIN_FILE_CHARS = 200
MAX_MEAN_LINE_CHARS = 100
"""Of markup, as the filter `mean_line_length` of the study has it."""
MAX_PACKAGE_BYTES = 300_000
"""Of one package and kind, so that none drowns the others."""

MIN_PROMPTS = 3
"""Lines of examples in a text that counts as one with examples."""


def write_mini_corpus(folder: Path) -> dict[str, int]:
    """Write the two files.

    Returns:
        File name -> bytes of text in it.

    Raises:
        InputError: Too little is installed to train on.
    """
    return write_files(
        folder,
        {
            "markup.jsonl.zst": Corpus(_markup(), 500_000, 3_000_000),
            "examples.jsonl.zst": Corpus(_examples(), 800_000, 3_000_000),
        },
    )


def _markup() -> Iterator[Text]:
    """Yield files of markup-style languages, package by package."""
    for package, distribution in packages():
        num_bytes = 0
        for name in documents_of(distribution):
            if not name.endswith(MARKUP_ENDINGS):
                continue
            text = read_installed(distribution, name)
            if not _is_written_markup(text):
                continue
            num_bytes += len(text.encode())
            if num_bytes > MAX_PACKAGE_BYTES:
                break
            yield Text(text, package, name)


def _is_written_markup(text: str) -> bool:
    lines = text.count("\n") + 1
    return (
        MIN_FILE_CHARS <= len(text) <= MAX_FILE_CHARS
        and len(text) <= MAX_MEAN_LINE_CHARS * lines
    )


def _examples() -> Iterator[Text]:
    """Yield docstrings with examples that are not in the quickstart's prose."""
    prose: dict[str, str] = {}
    for package, _, text in package_prose():
        prose[package] = prose.get(package, "") + text
    for package, distribution in packages():
        num_bytes = source_bytes = 0
        for name in documents_of(distribution):
            if not name.endswith(".py"):
                continue
            source = read_installed(distribution, name)
            source_bytes += len(source)
            if source_bytes > MAX_PACKAGE_SOURCE_BYTES or num_bytes > MAX_PACKAGE_BYTES:
                break
            for index, text in enumerate(_with_examples(source)):
                if text not in prose.get(package, ""):
                    num_bytes += len(text.encode())
                    yield Text(f"{text}\n", package, f"{name}#{index}")


def _with_examples(source: str) -> Iterator[str]:
    for text in docstrings(source):
        cleaned = inspect.cleandoc(text)
        if cleaned.count(">>> ") >= MIN_PROMPTS:
            yield cleaned


def main(arguments: Sequence[str]) -> int:
    """Run from a shell, as a stage of `dvc.yaml` does."""
    return main_of("runtime.corpus_mini", write_mini_corpus, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
