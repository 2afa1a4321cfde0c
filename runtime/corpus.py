"""The quickstart's data: real code and real prose that are on this machine already.

`python -m runtime.corpus FOLDER` writes three files: Python's standard library as code,
the documentation of the installed packages as prose, and Python's own reference topics
as a small source of careful text. Nothing is downloaded and nothing of it is part of
codemix; every text keeps its own licence, `package` and `path` say whose it is.

What comes out depends on what is installed and on nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.corpus_prose import package_prose, sections
from specs.atomic import write_atomically
from specs.errors import InputError

MAX_CODE_BYTES = 10_000_000
MAX_PROSE_BYTES = 8_000_000
MAX_REFERENCE_BYTES = 1_000_000
MIN_CODE_BYTES = 2_000_000
MIN_PROSE_BYTES = 1_500_000
MIN_REFERENCE_BYTES = 100_000

NOT_CODE = frozenset(
    {
        "site-packages",
        "dist-packages",
        "__pycache__",
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "turtledemo",
        "ensurepip",
        "encodings",  # tables of characters
        "pydoc_data",  # prose: the reference topics, which are a source of their own
    }
)
"""Folders of the standard library that are left out."""


@dataclass(frozen=True)
class Text:
    """One document of the corpus."""

    text: str
    package: str
    path: str


@dataclass(frozen=True)
class Corpus:
    """What goes into one file."""

    texts: Iterable[Text]
    min_bytes: int
    max_bytes: int


def write_corpus(folder: Path) -> dict[str, int]:
    """Write the three files.

    Returns:
        File name -> bytes of text in it.

    Raises:
        InputError: Too little is installed to train on.
    """
    return write_files(
        folder,
        {
            "code.jsonl.gz": Corpus(_code(), MIN_CODE_BYTES, MAX_CODE_BYTES),
            "prose.jsonl.zst": Corpus(_prose(), MIN_PROSE_BYTES, MAX_PROSE_BYTES),
            "reference.parquet": Corpus(
                _reference(), MIN_REFERENCE_BYTES, MAX_REFERENCE_BYTES
            ),
        },
    )


def write_files(folder: Path, corpora: Mapping[str, Corpus]) -> dict[str, int]:
    """Write texts to files of the formats that their names say.

    Returns:
        File name -> bytes of text in it.

    Raises:
        InputError: There is less text than one of them needs.
    """
    sizes = {}
    for name, corpus in corpora.items():
        texts = list(_distinct(corpus.texts, corpus.max_bytes))
        sizes[name] = sum(len(text.text.encode()) for text in texts)
        if sizes[name] < corpus.min_bytes:
            raise InputError(
                f"only {sizes[name]} bytes of text for {name} are installed here, "
                f"{corpus.min_bytes} are needed",
                fix="install Python with its standard library as .py files, and "
                "codemix with its dependencies",
            )
        write_atomically(folder / name, _encode(name, texts))
    return sizes


def _code() -> Iterator[Text]:
    """Yield the modules of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if NOT_CODE.isdisjoint(inside.parts):
            text = read_text(path)
            if text:
                yield Text(text, "python", inside.as_posix())


def _prose() -> Iterator[Text]:
    """Yield what the installed packages tell about themselves."""
    for package, path, text in package_prose():
        yield Text(text, package, path)


def _reference() -> Iterator[Text]:
    """Yield Python's reference topics, section by section."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name, topic in sorted(topics.items()):
        for index, section in enumerate(sections(topic)):
            yield Text(section, "python", f"topics/{name}#{index}")


def read_text(path: Path) -> str | None:
    """Read a text file, or None where it is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _distinct(texts: Iterable[Text], max_bytes: int) -> Iterator[Text]:
    """Leave out exact copies, and stop when there is enough."""
    seen: set[bytes] = set()
    num_bytes = 0
    for text in texts:
        data = text.text.encode()
        digest = hashlib.sha256(data).digest()
        if digest in seen:
            continue
        seen.add(digest)
        num_bytes += len(data)
        if num_bytes > max_bytes:
            return
        yield text


def _encode(name: str, texts: Sequence[Text]) -> bytes:
    """Write texts in the format of the file's name, the same bytes every time."""
    if name.endswith(".parquet"):
        return _parquet(texts)
    lines = [json.dumps(asdict(text), ensure_ascii=False) for text in texts]
    data = "".join(f"{line}\n" for line in lines).encode()
    if name.endswith(".gz"):
        # Neither a time nor a name in the header.
        return gzip.compress(data, compresslevel=6, mtime=0)
    import zstandard

    return zstandard.ZstdCompressor(level=6, write_content_size=True).compress(data)


def _parquet(texts: Sequence[Text]) -> bytes:
    import pyarrow
    import pyarrow.parquet as parquet

    table = pyarrow.Table.from_pylist([asdict(text) for text in texts])
    output = io.BytesIO()
    parquet.write_table(table, output, row_group_size=256)
    return output.getvalue()


def main_of(
    module: str,
    write: Callable[[Path], dict[str, int]],
    arguments: Sequence[str],
) -> int:
    """Write files to the folder that is named, and print their sizes."""
    if len(arguments) != 1:
        sys.stderr.write(f"usage: python -m {module} FOLDER\n")
        return 2
    try:
        sizes = write(Path(arguments[0]))
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for name, num_bytes in sizes.items():
        sys.stdout.write(f"{name}: {num_bytes:,} bytes of text\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run from a shell, as a stage of `dvc.yaml` does."""
    return main_of("runtime.corpus", write_corpus, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
