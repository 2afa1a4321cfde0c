"""Whether a file from elsewhere is here already, and is still what it was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.dvc_remotes import public_address
from ledger.dvc_store import DvcStore
from runtime.hashing import hash_file
from runtime.remote.download import changed, read_note
from runtime.remote.places import Place, RemoteFile
from specs.errors import Problem
from specs.lock import Origin


@dataclass
class WantedFile:
    """A file that an address means, and its place here."""

    key: str
    path: str
    file: RemoteFile
    place: Place
    sha256: str | None = None


def is_missing(one: WantedFile, store: DvcStore, problems: list[Problem]) -> bool:
    """Tell whether a file must be downloaded; put it in place if DVC's cache has it."""
    target = store.workspace / one.path
    tracked = store.find(one.path)
    known = store.origin_of(one.path)
    url = store.imported_url(one.path)
    if url is not None:
        problems.append(
            Problem(
                what=f"DVC has imported it from {public_address(url)}",
                file=one.path,
                path=one.key,
                fix=f"dvc remove {one.path}.dvc, delete the file, then pin again",
            )
        )
        return False
    if not target.exists():
        if known is None or not _is_same(known, one.file.origin):
            return True
        # DVC's cache is nearest; its remote is asked by `fetch_missing`.
        assert tracked is not None
        if tracked.md5 is None or store.cached(tracked.md5) is None:
            return True
        store.checkout(one.path)
        return False
    if known is None:
        if not _is_ours(one, store):
            problems.append(
                Problem(
                    what=f"is in the way of what {one.file.origin.address} would bring",
                    file=one.path,
                    path=one.key,
                    fix="move it away",
                )
            )
        return False
    if _is_same(known, one.file.origin):
        return False
    assert tracked is not None
    return _is_replaced(one, known, tracked.md5, store, problems)


def _is_replaced(
    one: WantedFile,
    known: Mapping[str, str],
    md5: str | None,
    store: DvcStore,
    problems: list[Problem],
) -> bool:
    """Tell whether a file that came from elsewhere is to be replaced by another."""
    if _is_ours(one, store):
        # It was killed after it had put the new one in place.
        store.set_origin(one.path, None)
        return False
    if known["address"] == one.file.origin.address:
        problems.append(_changed_since(one, known))
        return False
    if hash_file(store.workspace / one.path, with_md5=True).md5 != md5:
        problems.append(
            Problem(
                what="differs from what was downloaded",
                file=one.path,
                path=one.key,
                fix=f"delete it, then dvc checkout {one.path}.dvc",
            )
        )
        return False
    return True


def _changed_since(one: WantedFile, known: Mapping[str, str]) -> Problem:
    now = one.file.origin.to_json()
    for name, word in (("etag", "ETag"), ("modified", "date"), ("stated", "digest")):
        if known.get(name) != now.get(name):
            before, after = str(known.get(name)), str(now.get(name))
            what = changed(one.file.origin.address, word, before, after).what
            break
    fix = f"dvc remove {one.path}.dvc and delete the file, then pin again to accept it"
    return Problem(what=what, file=one.path, path=one.key, fix=fix)


def _is_same(known: Mapping[str, str], origin: Origin) -> bool:
    """Whether two places state the same bytes."""
    if known.get("stated") and known.get("stated") == origin.stated:
        return True
    return known == origin.to_json()


def _is_ours(one: WantedFile, store: DvcStore) -> bool:
    """Whether a file that DVC tells nothing of is one that was brought here before."""
    target = store.workspace / one.path
    note = read_note(target)
    stated = {one.sha256} if one.sha256 else set()
    if note is not None and note.origin == one.file.origin and note.sha256:
        stated.add(note.sha256)
    return bool(stated) and hash_file(target).sha256 in stated
