"""Tags and notes: what annotations say of entries, all in all."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.index import read_index
from ledger.rows import Row
from specs.errors import InputError

if TYPE_CHECKING:
    from ledger.store import Ledger

TAG_RULE = (
    "a tag has lower-case letters, digits and `. _ / = -`, begins with a letter or a "
    "digit, and is at most 64 characters long"
)

_TAG = re.compile(r"[a-z0-9][a-z0-9._/=-]{0,63}")


class Note(NamedTuple):
    """Something that somebody wrote of an entry."""

    text: str
    unix_ms: int


class Labels(NamedTuple):
    """What is said of one entry."""

    tags: tuple[str, ...] = ()
    """In the order in which they came."""
    notes: tuple[Note, ...] = ()


def is_tag(text: str) -> bool:
    """Whether a text can be a tag, see `TAG_RULE`.

    >>> is_tag("paper/fig=2"), is_tag("Best"), is_tag("-x")
    (True, False, False)
    """
    return _TAG.fullmatch(text) is not None


def labels_of(rows: Iterable[Row]) -> dict[str, Labels]:
    """Return the tags and notes of every entry that has some, by digest.

    Args:
        rows: Of the whole ledger, in order of arrival: a later tag counts.
    """
    found: dict[str, Labels] = {}
    for row in rows:
        if row.kind != "annotation" or row.original is None:
            continue
        tags, notes = found.get(row.original, Labels())
        kept = [tag for tag in tags if tag not in row.remove_tags]
        kept += [tag for tag in row.add_tags if tag not in kept]
        if row.note:
            notes = (*notes, Note(row.note, row.unix_ms))
        found[row.original] = Labels(tuple(kept), notes)
    return found


def tagged(folder: Path, tag: str) -> frozenset[str]:
    """Return the digests of the entries that have a tag.

    Raises:
        InputError: None has.
    """
    labels = labels_of(read_index(folder).rows)
    found = frozenset(digest for digest in labels if tag in labels[digest].tags)
    if found:
        return found
    known = sorted({tag for one in labels.values() for tag in one.tags})
    close = get_close_matches(tag, known, n=1)
    raise InputError(
        f"no entry of the ledger has the tag {tag!r}",
        fix=f"did you mean '@{close[0]}'?"
        if close
        else "see 'codemix ledger list --columns digest,name,tags'",
    )


def change_tags(
    ledger: Ledger, text: str, tags: Sequence[str], *, remove: bool = False
) -> tuple[str, Labels]:
    """Put tags on an entry, or take them off.

    Args:
        ledger: Holds the entry.
        text: Means the entry, see `Ledger.find`.
        tags: Each as `TAG_RULE` says.
        remove: Take them off.

    Returns:
        The entry's digest, and its tags and notes now.

    Raises:
        InputError: There is no such entry, or it has no such tag to take off.
    """
    digest, name = _subject(ledger, text)
    has = _labels(ledger, digest).tags
    if remove:
        _check_removed(digest, has, tags)
    new = [tag for tag in dict.fromkeys(tags) if (tag in has) == remove]
    if new:
        _annotate(
            ledger, digest, name, **{"remove_tags" if remove else "add_tags": new}
        )
    return digest, _labels(ledger, digest)


def add_note(ledger: Ledger, text: str, note: str) -> tuple[str, Labels]:
    """Add a note to an entry.

    Args:
        ledger: Holds the entry.
        text: Means the entry, see `Ledger.find`.
        note: What to say.

    Returns:
        The entry's digest, and its tags and notes now.

    Raises:
        InputError: There is no such entry, or nothing is said.
    """
    if not note.strip():
        raise InputError("an empty note", fix='codemix ledger note ENTRY "what I saw"')
    digest, name = _subject(ledger, text)
    _annotate(ledger, digest, name, note=note)
    return digest, _labels(ledger, digest)


def _subject(ledger: Ledger, text: str) -> tuple[str, str]:
    digest, entry = ledger.find(text)
    if entry.kind not in {"run", "replay", "evaluation"}:
        raise InputError(
            f"entry {digest[:12]} is of kind {entry.kind}: it takes no tags and notes",
            fix="name a run, a replay or an evaluation",
        )
    return digest, entry.name


def _labels(ledger: Ledger, digest: str) -> Labels:
    return labels_of(read_index(ledger.folder).rows).get(digest, Labels())


def _annotate(ledger: Ledger, digest: str, name: str, **said: object) -> None:
    from ledger.annotation import Annotation

    fields = {"name": name, "subject": digest, "unix_ms": time.time_ns() // 10**6}
    ledger.append(Annotation.model_validate({**fields, **said}))


def _check_removed(digest: str, has: Sequence[str], tags: Sequence[str]) -> None:
    for tag in tags:
        if tag not in has:
            close = get_close_matches(tag, has, n=1)
            fix = f"did you mean {close[0]!r}?" if close else None
            told = f"it has {', '.join(has)}" if has else "it has no tags"
            raise InputError(f"entry {digest[:12]} has no tag {tag!r}", fix=fix or told)
