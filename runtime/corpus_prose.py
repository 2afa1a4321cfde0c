"""Finding prose in installed packages: their descriptions, documents and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

MIN_DOCSTRING_CHARS = 400
"""A shorter one is a label, not prose."""

MIN_SECTION_CHARS = 300
MIN_DOCUMENT_CHARS = 600
MIN_LETTERS_SHARE = 0.72
"""Of all characters, spaces counted as letters: less is a table, a listing or art."""

MAX_PACKAGE_BYTES = 100_000
"""Prose of one package, so that none drowns the others."""

MAX_PACKAGE_SOURCE_BYTES = 4_000_000
"""Source read in search of docstrings, for the time that it takes."""

_UNDERLINE = re.compile(r"^([=\-*~^]{4,})\s*$")
_BADGE = re.compile(
    r"\s*(\[!\[|!\[|\.\. image::|\.\. \||\.\. _|:alt:|:target:|<img|</?a|</?p|<!--|\|)"
)
_SKIPPED = frozenset(
    {"test", "tests", "testing", "_vendor", "vendored", "node_modules"}
)


def packages() -> Iterator[tuple[str, metadata.Distribution]]:
    """Yield the name and distribution of each installed package, in order of names."""
    found = {
        distribution.metadata["Name"].lower(): distribution
        for distribution in metadata.distributions()
        if distribution.metadata["Name"]
    }
    for name, distribution in sorted(found.items()):
        # Its own texts change with every edit of a checkout.
        if name != "codemix":
            yield name, distribution


def package_prose() -> Iterator[tuple[str, str, str]]:
    """Yield package, path and text, in the order of the packages' names."""
    for name, distribution in packages():
        yield from _prose_of(name, distribution)


def sections(document: str) -> Iterator[str]:
    """Divide a document at its underlined headings; short sections join the next."""
    pending: list[str] = []
    lines = document.splitlines()
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        is_heading = bool(line.strip()) and bool(_UNDERLINE.match(following))
        if is_heading and sum(map(len, pending)) >= MIN_SECTION_CHARS:
            yield "\n".join(pending).strip() + "\n"
            pending = []
        pending.append(line)
    if "".join(pending).strip():
        yield "\n".join(pending).strip() + "\n"


def _prose_of(
    package: str, distribution: metadata.Distribution
) -> Iterator[tuple[str, str, str]]:
    num_bytes = 0
    for path, text in _candidates(distribution):
        cleaned = _clean(text)
        if len(cleaned) < MIN_DOCUMENT_CHARS or not _is_prose(cleaned):
            continue
        num_bytes += len(cleaned.encode())
        if num_bytes > MAX_PACKAGE_BYTES:
            return
        yield package, path, cleaned


def _candidates(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Yield the description, then documents, then the docstrings of each module."""
    description = distribution.metadata.get_payload()  # type: ignore[attr-defined]
    yield "METADATA", description or distribution.metadata["Description"] or ""
    files = documents_of(distribution)
    for name in files:
        if name.endswith((".md", ".rst")) and "license" not in name.lower():
            yield name, read_installed(distribution, name)
    source_bytes = 0
    for name in files:
        if name.endswith(".py"):
            source = read_installed(distribution, name)
            source_bytes += len(source)
            if source_bytes > MAX_PACKAGE_SOURCE_BYTES:
                return
            yield name, _long_docstrings(source)


def documents_of(distribution: metadata.Distribution) -> list[str]:
    """List the files of a package, those of its tests left out, in order."""
    files = sorted(map(str, distribution.files or ()))
    return [name for name in files if _SKIPPED.isdisjoint(Path(name).parts)]


def read_installed(distribution: metadata.Distribution, name: str) -> str:
    """Read an installed file; what is no UTF-8 text is as good as empty."""
    try:
        return Path(str(distribution.locate_file(name))).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def docstrings(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, indented as they are there.

    Found by their quotes: parsing all that is installed would take minutes.
    """
    pieces = source.split('"""')
    for before, text in zip(pieces[0::2], pieces[1::2], strict=False):
        # Quotes after anything else on their line are a value, often code.
        if before.rpartition("\n")[2].strip() in ("", "r", "R"):
            yield text


def _long_docstrings(source: str) -> str:
    """Join the long docstrings of a module."""
    found = map(inspect.cleandoc, docstrings(source))
    return "\n\n\n".join(text for text in found if len(text) >= MIN_DOCSTRING_CHARS)


def _clean(text: str) -> str:
    """Drop badges and spaces at the ends of lines."""
    lines = [line.rstrip() for line in text.splitlines() if not _BADGE.match(line)]
    joined = re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip()
    # What can't be written as UTF-8 is no text.
    return f"{joined}\n".encode("utf-8", "ignore").decode() if joined else ""


def _is_prose(text: str) -> bool:
    letters = sum(1 for character in text if character.isalpha() or character == " ")
    return letters >= MIN_LETTERS_SHARE * len(text)
