"""Pinned files that are not here come from where DVC shares them.

What DVC does not have and was once downloaded comes from where it was downloaded from.
Only files that are missing are asked for, and nothing that is here is touched. Whether
they are the right bytes is checked afterwards like those of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ledger.dvc_store import DvcStore
from runtime.progress import Listener, Progress, ignore_progress
from runtime.remote.bring import fetch_files, locked_download, open_place
from runtime.remote.download import note_of
from runtime.remote.places import Place, Refused
from specs.errors import InputError, Problem
from specs.lock import Lock, LockedFile


def fetch_missing(
    lock: Lock, workspace: Path, progress: Listener = ignore_progress
) -> tuple[str, ...]:
    """Bring the missing files of a lock from DVC's cache, its remote, or the web.

    Args:
        lock: Names all files.
        workspace: Where they belong.
        progress: Told how far it is.

    Returns:
        What was fetched, by what tracks it.

    Raises:
        InputError: With everything that can't be fetched. What nothing tracks, or no
            remote can have, is left to `runtime.pinned.check_pinned`, which says so.
    """
    store = DvcStore(workspace)
    missing = _missing(lock, store)
    total = sum(missing.values())
    problems: list[Problem] = []
    fetched, done = [], 0
    origins = _origins(lock)
    elsewhere: list[str] = []
    for name in sorted(missing):
        progress(Progress(task="fetch", done_bytes=done, total_bytes=total))
        try:
            if _fetch(name, store, has_origin=name in origins):
                fetched.append(name)
            elif name in origins:
                elsewhere.append(name)
        except InputError as error:
            problems += [_cannot(name, problem) for problem in error.problems]
        done += missing[name]
    if missing:
        progress(Progress(task="fetch", done_bytes=done, total_bytes=total))
    try:
        _download({name: origins[name] for name in elsewhere}, store, progress)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return tuple(sorted([*fetched, *elsewhere]))


def _origins(lock: Lock) -> dict[str, tuple[str, LockedFile]]:
    """Return what tracks a downloaded file -> its input's key, and the file."""
    return {
        f"{file.path}.dvc": (key, file)
        for key, pinned in lock.inputs.items()
        for file in pinned.files
        if file.origin is not None
    }


def _download(
    wanted: Mapping[str, tuple[str, LockedFile]], store: DvcStore, progress: Listener
) -> None:
    """Fetch files from where they came from, if they are still what the lock says.

    Raises:
        InputError: With every file that can't be had, or that changed.
    """
    places: dict[str, Place] = {}
    downloads, problems = [], []
    for key, file in wanted.values():
        assert file.origin is not None
        address = file.origin.address
        shared = address.partition("://")[0]
        try:
            place = places.get(shared) or open_place(address)
        except Refused as error:
            problems.append(error.problem(key, file.path))
            continue
        places[shared] = place
        downloads.append((key, file.path, locked_download(file, place, store)))
    if problems:
        raise InputError(problems)
    fetch_files(downloads, store, progress)
    forgotten = [path for _, path, _ in downloads if not store.imported_url(path)]
    if forgotten:
        # So that DVC's cache has them again, to share.
        store.add(forgotten)
    for _, path, _ in downloads:
        note_of(store.workspace / path).unlink(missing_ok=True)


def _missing(lock: Lock, store: DvcStore) -> dict[str, int]:
    """Return what tracks a file that is not here -> bytes of such files."""
    found: dict[str, int] = {}
    for pinned in lock.inputs.values():
        for file in pinned.files:
            if (store.workspace / file.path).is_file():
                continue
            tracked = store.find(file.path)
            # Of a stage that never ran there is nothing to fetch.
            if tracked is not None and tracked.md5 is not None:
                found[tracked.name] = found.get(tracked.name, 0) + file.bytes
    return found


def _fetch(name: str, store: DvcStore, *, has_origin: bool) -> bool:
    """Fetch one output; tell whether DVC had anywhere to fetch it from."""
    path = name.removesuffix(".dvc")
    is_pin = name.endswith(".dvc")
    url = store.imported_url(path) if is_pin else None
    md5 = tracked.md5 if is_pin and (tracked := store.find(path)) is not None else None
    # Of a folder the cache may have the list and lack the files.
    if md5 is not None and not md5.endswith(".dir") and store.cached(md5) is not None:
        store.checkout(path)
        return True
    if store.has_remote():
        try:
            store.pull([name])
        except InputError:
            # What came from the web may still be there.
            if url is None and not has_origin:
                raise
        else:
            return True
    if url is None or has_origin:
        return False
    store.import_url(url, path)
    return True


def _cannot(name: str, problem: Problem) -> Problem:
    what = problem.what
    if "Checkout failed" in what:
        # So DVC says that what it should put in place came from nowhere.
        what = "the DVC remote does not have it"
    return Problem(
        what=f"its data is not here and can't be fetched: {what}",
        file=name,
        fix="dvc push where the data is, or put the file here",
    )
