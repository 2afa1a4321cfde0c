"""Spec files read strictly: small UTF-8 text, and YAML that `yaml_values` allows.

The file is recorded as it is, comments included, so no line may hold a credential.
"""

from __future__ import annotations

import re
from pathlib import Path

from specs.credentials import credentials_in
from specs.document import Document
from specs.errors import InputError, Problem, SpecError
from specs.yaml_values import parse_document

MAX_BYTES = 1_000_000

_MARKS_OF_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

_NOT_PRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML 1.2 does not count as a printable character."""


def read_document(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.
        shown_as: How messages name the file; default: as `path` has it.

    Raises:
        InputError: The file is missing or can't be read.
        SpecError: It is not the YAML that a spec may be; every repeated key and bad
            scalar is listed.
    """
    shown_as = shown_as or str(path)
    return parse_document(read_text(path, shown_as=shown_as), shown_as)


def read_text(path: Path, *, shown_as: str) -> str:
    """Read a small text file that is recorded as it is.

    Raises:
        InputError: The file is missing or can't be read.
        SpecError: It is no plain UTF-8 text, or holds a credential.
    """
    text = _decode(_read_bytes(path, shown_as), shown_as)
    problems = _credential_problems(text, shown_as)
    if problems:
        # Told alone: other messages would repeat the line.
        raise SpecError(problems)
    return text


def _read_bytes(path: Path, file: str) -> bytes:
    fix = None
    try:
        size = path.stat().st_size
        if path.is_file() and size <= MAX_BYTES:
            return path.read_bytes()
        if path.is_file():
            what = f"the file has {size:,} bytes, more than the {MAX_BYTES:,} allowed"
            fix = "a spec names data, it does not hold it: move the data to a file"
            raise SpecError(what, file=file, fix=fix)
        what = "is not a file"
    except FileNotFoundError:
        what, fix = "no such file", "check the path"
    except (OSError, ValueError) as error:
        what = f"can't be read: {getattr(error, 'strerror', None) or error}"
    raise InputError(what, file=file, fix=fix)


def _decode(data: bytes, file: str) -> str:
    if data.startswith(_MARKS_OF_OTHER_ENCODINGS):
        what = "the file is UTF-16 or UTF-32, a spec must be UTF-8"
        raise SpecError(what, file=file, fix="save it again as UTF-8")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        what = "the file holds a NUL byte, so it is not text"
        raise SpecError(what, file=file, line=line, fix="save it again as UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"the file is not UTF-8: byte 0x{data[error.start]:02x} in this line"
        fix = "save it again as UTF-8"
        raise SpecError(what, file=file, line=line, fix=fix) from None
    strange = _NOT_PRINTABLE.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        what = f"the file holds the control character U+{ord(strange[0]):04X}"
        raise SpecError(what, file=file, line=line, fix="delete it")
    return text


def _credential_problems(text: str, file: str) -> list[Problem]:
    return [
        Problem(
            what=f"holds {one.what}, and a spec is recorded for all to read",
            file=file,
            line=text.count("\n", 0, one.start) + 1,
            fix="take it out and change it where it is valid; "
            "credentials come from the environment",
        )
        for one in credentials_in(text)
    ]
