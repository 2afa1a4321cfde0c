"""Reading a zip file that somebody else made: nothing of it is believed.

A bundle is a zip without compression, gaps, comments or anything but plain files, so
what it unpacks to is no larger than the file, and everything else is refused before a
byte is unpacked.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ledger.bundle_crate import Facts
from ledger.bundle_layout import CHECKPOINT, Tell, is_known, why_unsafe
from specs.errors import CheckFailed, InputError, Problem

MAX_MEMBERS = 200_000
MAX_LIST_BYTES = 64_000_000
"""Of the list of members at the end of the file, which is read whole."""
MAX_FILE_BYTES = 4_000_000_000
"""Of every file but the rows of checkpoints."""

_CHUNK_BYTES = 2**20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES = 20
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_REGULAR_FILE = 0o10
_SHOWN_PROBLEMS = 20


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a bundle and check all that can be said without reading its files.

    Raises:
        CheckFailed: It is no zip file as codemix writes them; with all that is wrong.
        InputError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            _check_end(file, path.stat().st_size)
        bundle = zipfile.ZipFile(path)
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise InputError(what, file=str(path)) from None
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise _damaged(path, f"is no bundle, or only a part of one: {error}") from None
    try:
        problems = list(_problems(bundle, path))
    except BaseException:
        bundle.close()
        raise
    if problems:
        bundle.close()
        raise CheckFailed(problems[:_SHOWN_PROBLEMS])
    return bundle


def extract(bundle: zipfile.ZipFile, folder: Path, tell: Tell) -> dict[str, Facts]:
    """Write every file of a checked bundle below a folder.

    Returns:
        Name -> digest and size of what was written.

    Raises:
        CheckFailed: A file is damaged.
        InputError: There is no room.
    """
    infos = sorted(bundle.infolist(), key=lambda info: info.filename)
    total = sum(info.file_size for info in infos)
    if shutil.disk_usage(folder).free < total:
        raise InputError(
            f"there is no room for the {total:,} bytes of the bundle",
            file=str(folder),
            fix="free space on this disk",
        )
    found: dict[str, Facts] = {}
    done = 0
    for info in infos:
        target = folder / info.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        try:
            with bundle.open(info) as source, target.open("xb") as file:
                while chunk := source.read(_CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                    tell("check", done + size, total)
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise CheckFailed(f"is damaged: {error}", file=info.filename) from None
        except OSError as error:
            what = f"can't be unpacked: {error.strerror or error}"
            fix = "free space on this disk"
            raise InputError(what, file=info.filename, fix=fix) from error
        done += size
        found[info.filename] = Facts(digest.hexdigest(), size)
    return found


def _check_end(file: BinaryIO, size: int) -> None:
    """Check the end of the file before its list of members is read.

    Raises:
        ValueError: It is not as codemix writes it.
    """
    file.seek(max(0, size - _END.size))
    end = file.read(_END.size)
    if len(end) < _END.size or not end.startswith(b"PK\5\6"):
        raise ValueError("it does not end like a zip file")
    _, _, _, _, count, list_bytes, start, comment_bytes = _END.unpack(end)
    if comment_bytes:
        raise ValueError("something follows it")
    if count == _FULL_16 or _FULL_32 in (list_bytes, start):
        file.seek(max(0, size - _END.size - _LOCATOR_BYTES - _END64.size))
        values = _END64.unpack(file.read(_END64.size))
        if values[0] != b"PK\6\6":
            raise ValueError("it does not end like a large zip file")
        count, list_bytes = values[7], values[8]
    if count > MAX_MEMBERS:
        raise ValueError(f"it has {count:,} files, more than {MAX_MEMBERS:,}")
    if list_bytes > MAX_LIST_BYTES:
        raise ValueError(f"its list of files has {list_bytes:,} bytes")


def _problems(bundle: zipfile.ZipFile, path: Path) -> Iterator[Problem]:
    infos = bundle.infolist()
    names = Counter(info.filename for info in infos)
    folded = Counter(name.casefold() for name in names)
    for info in infos:
        for what in _problems_of(info):
            yield Problem(what=what, file=info.orig_filename)
    for name, count in sorted(names.items()):
        if count > 1:
            yield Problem(what=f"is there {count} times", file=name)
        elif folded[name.casefold()] > 1:
            what = "differs from another name only in upper and lower case"
            yield Problem(what=what, file=name)
    parents = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    for name in sorted(parents & set(names)):
        yield Problem(what="is a file and a folder", file=name)
    yield from _gaps(bundle, path)


def _problems_of(info: zipfile.ZipInfo) -> Iterator[str]:
    name = info.orig_filename
    unsafe = why_unsafe(name)
    kind = info.external_attr >> 28
    if unsafe is not None:
        yield f"its name {unsafe}"
    elif kind == 0o12:
        yield "is a link"
    elif kind != _REGULAR_FILE or info.is_dir():
        yield "is no plain file"
    elif not is_known(name):
        yield "does not belong in a bundle"
    if info.flag_bits & 0x1:
        yield "is encrypted"
    if info.compress_type != zipfile.ZIP_STORED:
        yield "is compressed, which nothing in a bundle is"
    elif info.compress_size != info.file_size:
        yield f"has {info.compress_size:,} bytes and says {info.file_size:,}"
    if info.file_size > MAX_FILE_BYTES and not CHECKPOINT.fullmatch(name):
        yield f"has {info.file_size:,} bytes, more than {MAX_FILE_BYTES:,}"


def _gaps(bundle: zipfile.ZipFile, path: Path) -> Iterator[Problem]:
    """Check that files follow each other without gaps or overlaps."""
    expected = 0
    with path.open("rb") as file:
        for info in sorted(bundle.infolist(), key=lambda one: one.header_offset):
            file.seek(info.header_offset)
            header = file.read(_LOCAL.size)
            if info.header_offset != expected or len(header) < _LOCAL.size:
                what = "does not begin where the file before it ends"
                yield Problem(what=what, file=info.filename)
                return
            *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
            expected += _LOCAL.size + name_bytes + extra_bytes + info.compress_size
    if expected != bundle.start_dir:
        yield Problem(what="has something between its files", file=str(path))


def _damaged(path: Path, what: str) -> CheckFailed:
    return CheckFailed(what, file=str(path), fix="get the file again")
