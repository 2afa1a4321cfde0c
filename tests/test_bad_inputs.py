"""Bad files as a user meets them: named with row and fix, nothing left half-written.

One workspace has a source for every way in which a file can be bad. `codemix prepare`
says what it finds; what it named is repaired and pinned again, until it is content.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
import pytest
import zstandard
from conftest import ROOT
from data_workspace import make_workspace, sentences, write_spec
from run_workspace import MAIN
from test_line_bombs import zstd_bomb

from runtime.store_format import MANIFEST
from runtime.tokenizer_training import train_model
from specs.loading import load_lock, lock_path

TEXTS = sentences(40)
LINES = [json.dumps({"text": text}).encode() for text in TEXTS]
GOOD_LINES = b"\n".join(LINES) + b"\n"
NOTEBOOK = {"cells": [{"cell_type": "markdown", "source": TEXTS[0]}]}
MUCH = b"".join(b'{"text": "%d"}\n' % (n * n) for n in range(20_000))


def as_parquet(column: Any, name: str = "text") -> bytes:
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({name: column}), sink, row_group_size=10)
    return sink.getvalue().to_pybytes()


def as_arrow(column: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"text": column})
    with ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, 10)
    return sink.getvalue().to_pybytes()


def with_bad_bytes(row: int) -> Any:
    """Make a column of strings, one of which is no UTF-8."""
    values = [text.encode() for text in TEXTS]
    values[row - 1] = b"caf\xe9"
    return pyarrow.array(values, pyarrow.binary()).view(pyarrow.string())


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


GOOD: dict[str, Callable[[], bytes]] = {
    ".jsonl": lambda: GOOD_LINES,
    ".jsonl.gz": lambda: gzip.compress(GOOD_LINES),
    ".jsonl.zst": lambda: zstd(GOOD_LINES),
    ".parquet": lambda: as_parquet(TEXTS),
    ".arrow": lambda: as_arrow(TEXTS),
    ".ipynb": lambda: json.dumps(NOTEBOOK).encode(),
}

# File -> its bytes, the row that is named (0: any), and what is said of it.
BAD: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "cut.parquet": (lambda: cut(as_parquet(TEXTS), 0.7), 1, "can't be read as Parquet"),
    "cut.arrow": (lambda: cut(as_arrow(TEXTS), 0.7), 0, "can't be read as Arrow"),
    "cut.jsonl.gz": (lambda: cut(gzip.compress(MUCH), 0.5), 0, "is cut off or damaged"),
    "cut.jsonl.zst": (lambda: cut(zstd(MUCH), 0.5), 0, "is cut off or damaged"),
    "latin.jsonl": (
        lambda: b"\n".join([*LINES[:6], b'{"text": "caf\xe9"}', *LINES[6:]]),
        7,
        "is not UTF-8: byte 0xe9 at byte 13",
    ),
    "latin.parquet": (
        lambda: as_parquet(with_bad_bytes(23)),
        23,
        "'text' is not UTF-8: byte 0xe9 at byte 3",
    ),
    "endless.jsonl": (
        lambda: GOOD_LINES + b"x" * 200_000_000,
        len(TEXTS) + 1,
        "is not JSON: Expecting value",
    ),
    "bomb.jsonl.gz": (
        lambda: gzip.compress(GOOD_LINES) + gzip.compress(bytes(2**26)) * 8,
        len(TEXTS) + 1,
        "is longer than a line may be",
    ),
    "bomb.jsonl.zst": (
        lambda: zstd(GOOD_LINES) + zstd_bomb(2**29),
        len(TEXTS) + 1,
        "is longer than a line may be",
    ),
    "renamed.parquet": (
        lambda: as_parquet(TEXTS, "content"),
        1,
        "has no column 'text', only content",
    ),
    "numbers.parquet": (
        lambda: as_parquet([*range(40)]),
        1,
        "column 'text' must hold strings, got int64",
    ),
    "page.ipynb": (lambda: b"<html>404</html>", 1, "is no notebook: not JSON"),
}


def suffix_of(name: str) -> str:
    return name[name.index(".") :]


def codemix(workspace: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=workspace,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def unfinished(workspace: Path) -> list[Path]:
    """Return what a run leaves that is no whole file of a store."""
    found = (workspace / ".codemix").rglob("*")
    return [path for path in found if path.name.endswith((".tmp", ".part"))]


def manifests(workspace: Path) -> list[Path]:
    return [*(workspace / ".codemix").rglob(MANIFEST)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_bad_file_is_named_and_repairing_what_is_named_is_enough(
    tmp_path: Path,
) -> None:
    workspace = make_workspace(tmp_path)
    (workspace / "data").mkdir()
    sources = {}
    for name, (make, _, _) in BAD.items():
        (workspace / "data" / name).write_bytes(make())
        sources[name.replace(".", "_")] = {"uri": f"data/{name}", "holdout": 0}
    model = train_model([text.encode() for text in TEXTS], 320)
    (workspace / "small.model").write_bytes(model)
    tokenizer = {"vocab_size": 320, "file": "small.model"}
    spec = write_spec(workspace, sources, tokenizer=tokenizer)
    left = set(BAD)
    while left:
        assert codemix(workspace, "pin", "specs/small.yaml")[0] == 0
        code, told = codemix(workspace, "prepare", "specs/small.yaml")
        assert code == 4, told
        named = set(re.findall(r"data/([a-z.]+):[0-9]+: ", told))
        assert named, told
        assert named <= left, told
        for name in named:
            _, row, what = BAD[name]
            place = rf"data/{name}:{row or '[0-9]+'}: {re.escape(what)}.*\n  fix: (.+)"
            found = re.search(place, told)
            assert found, told
            assert "on_corrupt: skip" in found[1]
            path = workspace / "data" / name
            path.unlink()  # DVC may have linked it to its cache.
            path.write_bytes(GOOD[suffix_of(name)]())
        assert unfinished(workspace) == []
        # One manifest makes a store whole: none before all are.
        assert manifests(workspace) == []
        assert load_lock(lock_path(spec)).stores == {}
        left -= named
    assert codemix(workspace, "pin", "specs/small.yaml")[0] == 0
    code, told = codemix(workspace, "prepare", "specs/small.yaml")
    assert code == 0, told
    assert len(manifests(workspace)) == len(BAD)
    assert unfinished(workspace) == []
