"""Where checkpoints lie: a folder, or a bucket of S3 or Google Cloud Storage.

Files are written whole and read in ranges. What `write` has returned from is safe from
a power cut. Buckets are spoken to by TensorStore, which is loaded for them alone;
folders need nothing but a file system that all processes share.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from specs.atomic import sync_folder
from specs.errors import InputError

Piece = bytes | memoryview

BUCKETS = {"s3": "s3", "gs": "gcs"}
"""Scheme of a location -> TensorStore's driver."""


class Storage(Protocol):
    """Files by name, under one location; names have slashes."""

    def names(self) -> list[str]:
        """Return the names of all files."""

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read a range of a file.

        Raises:
            OSError: It is not there, or shorter.
        """

    def read_many(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Read ranges of files, several at a time where that is faster.

        Args:
            ranges: Name, start and stop of each.

        Raises:
            OSError: One is not there, or shorter.
        """

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write a whole file, one piece after the other.

        Raises:
            OSError: It can't be written.
        """

    def delete(self, name: str) -> None:
        """Delete a file, or all files of a folder; nothing if there is none."""


class Folder:
    """A folder of the file system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """List files; those of unfinished writes are hidden."""
        found = (path for path in self._path.rglob("*") if path.is_file())
        names = (path.relative_to(self._path).as_posix() for path in found)
        return sorted(name for name in names if "/." not in f"/{name}")

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read from where the range starts."""
        with (self._path / name).open("rb") as file:
            file.seek(start)
            data = file.read(-1 if stop is None else stop - start)
        return _whole(name, data, start, stop)

    def read_many(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Read one after the other: a disk is not slow to answer."""
        return [self.read(*one) for one in ranges]

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write, and bring the bytes and then the name to the disk."""
        path = self._path / name
        new = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.tmp")
        try:
            with hidden.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(path)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        for folder in new:
            sync_folder(folder.parent)

    def delete(self, name: str) -> None:
        """Unlink a file, or a whole folder."""
        path = self._path / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class Bucket:
    """A part of a bucket, by TensorStore."""

    def __init__(self, location: str, max_retries: int | None = None) -> None:
        """Open `s3://bucket/path` or `gs://bucket/path`.

        Credentials are found where the cloud's own tools find them.

        Args:
            location: The part of the bucket.
            max_retries: Of each request, first after a second, then after twice as
                long, up to 32 seconds; None: TensorStore's own, a quarter of an hour.

        Raises:
            InputError: The bucket can't be reached.
        """
        import tensorstore

        parts = urlsplit(location)
        spec: dict[str, Any] = {
            "driver": BUCKETS[parts.scheme],
            "bucket": parts.netloc,
            "path": parts.path.strip("/") + "/",
        }
        if max_retries is not None:
            retries = {"max_retries": max_retries}
            names = ("s3_request_retries", "gcs_request_retries")
            spec["context"] = dict.fromkeys(names, retries)
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        if parts.scheme == "s3" and endpoint:
            spec["endpoint"] = endpoint
            spec["aws_region"] = os.environ.get("AWS_REGION", "us-east-1")
        try:
            self._store = tensorstore.KvStore.open(spec).result()
            self.names()  # asks the cloud for the first time
        except (ValueError, OSError) as error:
            raise InputError(
                f"the bucket can't be opened: {str(error).splitlines()[0][:200]}",
                file=location,
                fix="check the name of the bucket and the credentials",
            ) from error

    def names(self) -> list[str]:
        """List the keys."""
        with _system_errors():
            return sorted(key.decode() for key in self._store.list().result())

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read a range of an object."""
        if stop == start:
            return b""
        with _system_errors():
            found = self._store.read(name, byte_range=slice(start, stop)).result()
        return _found(name, found, start, stop)

    def read_many(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Ask for all at once; TensorStore limits how many are under way."""
        with _system_errors():
            asked = [
                self._store.read(name, byte_range=slice(start, stop))
                for name, start, stop in ranges
            ]
            answers = [one.result() for one in asked]
        return [
            _found(name, answer, start, stop)
            for (name, start, stop), answer in zip(ranges, answers, strict=True)
        ]

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Put an object, which is there whole or not at all."""
        with _system_errors():
            self._store.write(name, b"".join(pieces)).result()

    def delete(self, name: str) -> None:
        """Delete an object, and all whose names go on with a slash."""
        with _system_errors():
            self._store.write(name, None).result()
            for key in self.names():
                if key.startswith(f"{name}/"):
                    self._store.write(key, None).result()


def open_storage(location: str | Path, max_retries: int | None = None) -> Storage:
    """Open a folder or a bucket; see `is_bucket` and `Bucket`."""
    if isinstance(location, str) and is_bucket(location):
        return Bucket(location, max_retries)
    return Folder(Path(location))


def is_bucket(location: str) -> bool:
    """Tell whether a location is in a bucket."""
    return urlsplit(location).scheme in BUCKETS


@contextmanager
def _system_errors() -> Iterator[None]:
    """Turn what TensorStore raises into errors of the system."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise OSError(errno.EIO, str(error).splitlines()[0][:300]) from error


def _found(name: str, answer: Any, start: int, stop: int | None) -> bytes:
    if answer.state != "value":
        raise FileNotFoundError(errno.ENOENT, "there is no such object", name)
    return _whole(name, answer.value, start, stop)


class Incomplete(OSError):
    """A file is shorter than it was when it was written."""


def _whole(name: str, data: bytes, start: int, stop: int | None) -> bytes:
    if stop is not None and len(data) != stop - start:
        what = f"it ends after {start + len(data)} bytes, {stop} are expected"
        raise Incomplete(errno.EIO, what, name)
    return data
