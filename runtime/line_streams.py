"""Lines of plain, gzip and Zstandard files, with damage reported as what it is."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

MAX_LINE_BYTES = 256 * 2**20
"""A longer line is not a document but a file of another kind."""

_CHUNK_BYTES = 2**18

_ZSTD_INPUT_BYTES = 2**11
"""Compressed bytes that are unpacked at once. A block of 128 KiB may take only four of
them, so at most 64 MiB come out; all of a chunk could come to 8 GiB."""

_ZSTD_WINDOW_BYTES = 2**27
"""Most memory that a frame may ask for; `zstd --long=28` and above ask for more."""


class DamagedStreamError(Exception):
    """A compressed file ends too early or holds no valid data."""


UNREADABLE = (DamagedStreamError, EOFError, gzip.BadGzipFile, zlib.error)
"""What reading lines raises where a file is cut off or damaged."""


def is_plain(path: Path) -> bool:
    """Tell whether a file's bytes are its lines."""
    return not path.name.lower().endswith((".gz", ".zst"))


def open_lines(path: Path) -> BinaryIO:
    """Open a file for reading lines, decompressing by its name."""
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.name.lower().endswith(".zst"):
        return cast(BinaryIO, io.BufferedReader(_ZstdFile(path), _CHUNK_BYTES))
    return path.open("rb", buffering=_CHUNK_BYTES)


def read_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield each line without its end, or None for one that is too long to hold."""
    while line := stream.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            # In small pieces, as a line without an end may go on for ever.
            while line and not line.endswith(b"\n"):
                line = stream.readline(min(MAX_LINE_BYTES, _CHUNK_BYTES))
            yield None
        else:
            yield line.rstrip(b"\r\n")


def describe_bad_utf8(error: UnicodeDecodeError) -> str:
    """Say which byte is none of UTF-8."""
    value = error.object[error.start]
    return f"is not UTF-8: byte 0x{value:02x} at byte {error.start} ({error.reason})"


class _ZstdFile(io.RawIOBase):
    """A Zstandard file of any number of frames.

    `zstandard.stream_reader` ends in silence where a file was cut off; this raises.
    """

    def __init__(self, path: Path):
        import zstandard

        self._error: type[Exception] = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(
            max_window_size=_ZSTD_WINDOW_BYTES
        )
        self._frame = self._decompressor.decompressobj()
        self._in_frame = False
        self._file = path.open("rb")
        self._packed = memoryview(b"")
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._ready:
            if not self._fill():
                return 0
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _fill(self) -> bool:
        """Decompress some more; False at the end of the file."""
        if not self._packed:
            self._packed = memoryview(self._file.read(_CHUNK_BYTES))
        if self._frame.eof:
            self._frame = self._decompressor.decompressobj()
            self._in_frame = False
        if not self._packed:
            if self._in_frame:
                raise DamagedStreamError("the file ends in the middle of a frame")
            return False
        self._in_frame = True
        packed = self._packed[:_ZSTD_INPUT_BYTES]
        try:
            self._ready = memoryview(self._frame.decompress(packed))
        except self._error as error:
            what = str(error)
            if "too much memory" in what:
                what = "it was packed with a window above 128 MiB (zstd --long)"
            raise DamagedStreamError(what) from error
        num_left = len(self._frame.unused_data) if self._frame.eof else 0
        self._packed = self._packed[len(packed) - num_left :]
        return True
