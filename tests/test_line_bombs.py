"""Small files that unpack to gigabytes, read by a process that may not have one."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

ROOT = Path(__file__).resolve().parent.parent

READ = """
import resource, sys
from pathlib import Path
from runtime.line_streams import UNREADABLE, open_lines, read_lines
import gzip, zstandard  # what is loaded counts, too

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = []
try:
    with open_lines(Path(sys.argv[1])) as stream:
        for line in read_lines(stream):
            found.append("long" if line is None else str(len(line)))
except UNREADABLE as error:
    found.append(f"damaged: {error}")
print(" ".join(found))
"""

BLOCK_BYTES = 2**17
"""The largest block of Zstandard; as one repeated byte it takes four."""


def zstd_bomb(num_bytes: int, *, window_log: int = 23) -> bytes:
    """Make a frame that is a repeated letter, with a line end in front of its last."""
    head = b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3])
    is_repeated, is_last = 1 << 1, 1
    block = (is_repeated | BLOCK_BYTES << 3).to_bytes(3, "little") + b"x"
    last = (is_last | 2 << 3).to_bytes(3, "little") + b"\ny"
    return head + block * (num_bytes // BLOCK_BYTES) + last


def read(path: Path, data: bytes, *, limit_bytes: int) -> str:
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(limit_bytes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-400:]
    return done.stdout.strip()


def test_zstd_bomb_is_one_long_line(tmp_path: Path) -> None:
    data = zstd_bomb(2**31)
    assert len(data) < 2**16 + 100
    found = read(tmp_path / "a.jsonl.zst", data, limit_bytes=2**30)
    assert found == "long 1"


def test_gzip_bomb_is_one_long_line(tmp_path: Path) -> None:
    member = gzip.compress(bytes(2**26), 9)
    data = member * 16 + gzip.compress(b"\ny")
    assert len(data) < 1_100_000
    found = read(tmp_path / "a.jsonl.gz", data, limit_bytes=700 * 2**20)
    assert found == "long 1"


def test_line_of_200_megabytes_is_read(tmp_path: Path) -> None:
    line = b"x" * 200_000_000
    found = read(tmp_path / "a.jsonl", line + b"\ny\n", limit_bytes=2**30)
    assert found == "200000000 1"


@pytest.mark.parametrize(
    ("window_log", "found"),
    [(27, "131072 1"), (28, "damaged: it was packed with a window above 128 MiB")],
)
def test_frame_that_asks_for_more_memory_than_it_may_is_damaged(
    tmp_path: Path, window_log: int, found: str
) -> None:
    data = zstd_bomb(BLOCK_BYTES, window_log=window_log)
    told = read(tmp_path / "a.jsonl.zst", data, limit_bytes=2**30)
    assert told.startswith(found)


def test_frames_that_end_anywhere_in_the_input_are_read_whole(tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor()
    # Frames shorter and longer than what is unpacked at once, and empty ones.
    parts = [b"".join(b"%d\n" % (i * i) for i in range(n)) for n in (0, 9, 3000, 50, 0)]
    data = b"".join(map(compressor.compress, parts * 20))
    lines = b"".join(parts * 20).splitlines()
    found = read(tmp_path / "a.jsonl.zst", data, limit_bytes=2**30)
    assert found.split() == [str(len(line)) for line in lines]
