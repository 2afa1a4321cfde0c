"""Which file names say how a file is read.

Text is prose, markup and the source code of the study's languages. What is data for
programs, such as .csv or .xml, is left to a source that says so.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

Format = Literal["text", "jsonl", "parquet", "arrow", "notebook"]

FIRST_TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst", ".py"})
"""All that were text until the others were added; see `is_first_kind`."""

MARKUP_SUFFIXES = frozenset(
    (
        *(
            ".markdown",
            ".mdx",
            ".rmd",
            ".yaml",
            ".yml",
            ".toml",
            ".json",
            ".html",
            ".htm",
        ),
        *(".css", ".scss", ".sass"),
    )
)
CODE_SUFFIXES = frozenset(
    (
        *(
            ".java",
            ".js",
            ".mjs",
            ".cjs",
            ".jsx",
            ".ts",
            ".mts",
            ".cts",
            ".vue",
            ".php",
        ),
        *(
            ".cs",
            ".c",
            ".h",
            ".cc",
            ".cpp",
            ".cxx",
            ".hh",
            ".hpp",
            ".hxx",
            ".go",
            ".rb",
        ),
        *(
            ".sh",
            ".bash",
            ".zsh",
            ".kt",
            ".kts",
            ".swift",
            ".rs",
            ".scala",
            ".sc",
            ".sql",
        ),
        *(".dart", ".mk", ".mak", ".lua", ".hs", ".lhs", ".st", ".tex", ".sty", ".cls"),
        *(".clj", ".cljs", ".cljc"),
    )
)
TEXT_SUFFIXES = FIRST_TEXT_SUFFIXES | MARKUP_SUFFIXES | CODE_SUFFIXES
TEXT_NAMES = frozenset({"makefile", "gnumakefile"})
LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
OTHER_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".ipynb": "notebook",
}


def format_of(path: str, declared: str) -> Format | None:
    """Tell how a file is read.

    Args:
        path: The file's name.
        declared: The source's `format`; `auto` goes by the name.

    Returns:
        The format, or None where the name says nothing.

    >>> format_of("a/b.jsonl.zst", "auto"), format_of("a/b.c", "text")
    ('jsonl', 'text')
    """
    if declared != "auto":
        return declared  # type: ignore[return-value]
    name = PurePosixPath(path.lower()).name
    if name.endswith(LINE_SUFFIXES):
        return "jsonl"
    suffix = PurePosixPath(name).suffix
    if suffix in OTHER_SUFFIXES:
        return OTHER_SUFFIXES[suffix]
    return "text" if suffix in TEXT_SUFFIXES or name in TEXT_NAMES else None


def is_first_kind(path: str) -> bool:
    """Tell a file that `auto` read before other endings were known.

    >>> is_first_kind("a.md"), is_first_kind("a.java")
    (True, False)
    """
    name = path.lower()
    suffix = PurePosixPath(name).suffix
    is_row_file = name.endswith(LINE_SUFFIXES) or suffix == ".parquet"
    return is_row_file or suffix in FIRST_TEXT_SUFFIXES


def is_beside_rows(path: str) -> bool:
    """Tell a file that is no document where it lies in a folder of rows.

    Folders of rows come with descriptions such as `dataset_info.json`, which were never
    read. One of the first kinds of text is refused there instead, as it may be meant.
    """
    return format_of(path, "auto") == "text" and not is_first_kind(path)
