"""The head of a ledger: how many lines its log has, and the digest of the last one.

Each line of the log holds the digest of the line before, so the head stands for every
line, and through them for every entry. A head that was written down elsewhere proves
later that the ledger still holds all that it held then, in the same order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.finding import Finding
from ledger.store import FIRST_LINK, Ledger
from specs.errors import InputError

_HEAD = re.compile(r"(0|[1-9][0-9]*)-([0-9a-f]{64})")


class Head(NamedTuple):
    """A position in the log, and what stands for everything up to it."""

    lines: int
    sha256: str
    """Of the last line; 64 zeros of an empty log."""

    def __str__(self) -> str:
        return f"{self.lines}-{self.sha256}"


def head_of(lines: Sequence[bytes]) -> Head:
    r"""Return the head of a log.

    >>> str(head_of([]))[:8]
    '0-000000'
    """
    link = hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST_LINK
    return Head(len(lines), link)


def parse_head(text: str) -> Head:
    """Read a head that was written down.

    Args:
        text: The head, or the name of a file that holds nothing else.

    Raises:
        InputError: It is neither.
    """
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        match = _HEAD.fullmatch(_text_of_file(text).strip())
    if match is None:
        raise _no_head(text)
    return Head(int(match[1]), match[2])


def check_extends(ledger: Ledger, lines: Sequence[bytes], since: Head) -> list[Finding]:
    """Check that a log begins with everything that a head stands for."""
    if since.lines > len(lines):
        what = (
            f"the published head is of {since.lines} lines, the log has {len(lines)}: "
            "it was cut, or is another ledger's"
        )
    elif head_of(lines[: since.lines]).sha256 != since.sha256:
        what = (
            f"the published head is not that of the first {since.lines} lines: one of "
            "them was changed, or this is another ledger"
        )
    else:
        return []
    fix = "restore the ledger from a copy that extends the head"
    line = min(since.lines, len(lines)) or None
    file = str(ledger.log_path)
    return [Finding(kind="head", what=what, file=file, line=line, fix=fix)]


def _text_of_file(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, ValueError):
        raise _no_head(name) from None


def _no_head(text: str) -> InputError:
    return InputError(
        f"neither a head of a ledger nor a file that holds one: {text[:99]!r}",
        fix="give what 'codemix ledger head' printed, such as 12-<64 hex digits>",
    )
