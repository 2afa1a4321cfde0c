"""Making DVC track exactly the bytes that are there.

DVC looks at times and sizes; here every byte is read. Where DVC has missed a change, it
is made to look again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from ledger.dvc_store import DvcStore
from runtime.hashing import FileHash, hash_file
from runtime.inputs import Located
from runtime.progress import Listener, Progress
from specs.errors import InputError, Problem


def track(
    located: Sequence[Located], store: DvcStore, progress: Listener
) -> dict[str, FileHash]:
    """Track files and folders, also their new bytes, and fill gaps in DVC's cache.

    Returns:
        Path -> the hashes of its bytes, which are those that DVC tracks.

    Raises:
        InputError: With every file that DVC can't track as it is.
    """
    _track_new(located, store)
    hashes = _hash_all(located, store, progress)
    _track_changed(located, store, hashes)
    return hashes


def _track_new(located: Iterable[Located], store: DvcStore) -> None:
    """Track what DVC does not track yet, and folders, where files come and go."""
    wanted = {
        target
        for found in located
        for target in found.targets
        if (tracked := store.find(target)) is None
        or (found.is_folder and tracked.stage is None and tracked.path == target)
    }
    if wanted:
        store.add(sorted(wanted))


def _hash_all(
    located: Iterable[Located], store: DvcStore, progress: Listener
) -> dict[str, FileHash]:
    files = sorted({path for found in located for path in found.files})
    total_bytes = sum((store.workspace / path).stat().st_size for path in files)
    done_bytes = 0

    def moved(num_bytes: int) -> None:
        nonlocal done_bytes
        done_bytes += num_bytes
        progress(Progress(task="hash", done_bytes=done_bytes, total_bytes=total_bytes))

    return {
        path: hash_file(store.workspace / path, with_md5=True, moved=moved)
        for path in files
    }


def _track_changed(
    located: Iterable[Located], store: DvcStore, hashes: dict[str, FileHash]
) -> None:
    """Track new bytes, also those that DVC can't see, and fill gaps in its cache."""
    files = sorted({path for found in located for path in found.files})
    problems = [
        problem
        for path in files
        if (problem := _obstacle(path, store, hashes[path])) is not None
    ]
    if problems:
        raise InputError(problems)
    outputs = set()
    for path in files:
        tracked = store.find(path)
        if tracked and tracked.is_ours and not _is_shared(path, store, hashes[path]):
            # DVC goes by the time of the last change; a new one makes it look.
            os.utime(store.workspace / path)
            outputs.add(tracked.path)
    if outputs:
        store.add(sorted(outputs))
    _check_tracked(files, store, hashes)


def _obstacle(path: str, store: DvcStore, found: FileHash) -> Problem | None:
    """Say why DVC can't be made to track a file's bytes by adding the file."""
    tracked = store.find(path)
    md5 = store.md5_of(path)
    if tracked and not tracked.is_ours and md5 not in (None, found.md5):
        if tracked.stage is None:
            what = "differs from what was downloaded"
            fix = f"delete it, then dvc checkout {tracked.name}"
        else:
            what = f"differs from what the DVC stage '{tracked.stage}' made"
            fix = f"dvc repro --force {tracked.stage}, or dvc commit it"
        return Problem(what=what, file=path, fix=fix)
    cached = store.cached(found.md5 or "")
    if cached is not None and cached.stat().st_size != found.num_bytes:
        return Problem(
            what="the DVC cache holds other bytes under its hash",
            file=path,
            fix=f"delete {os.path.relpath(cached, store.workspace)}, then pin again",
        )
    return None


def _is_shared(path: str, store: DvcStore, found: FileHash) -> bool:
    """Whether DVC tracks these bytes and its cache has them to share."""
    md5 = store.md5_of(path)
    return md5 is not None and md5 == found.md5 and store.cached(md5) is not None


def _check_tracked(
    files: Sequence[str], store: DvcStore, hashes: dict[str, FileHash]
) -> None:
    problems = []
    for path in files:
        tracked = store.find(path)
        if tracked is None or (tracked.is_ours and store.md5_of(path) is None):
            what = "is ignored by DVC"
            fix = "take it out of .dvcignore, or out of the source"
        elif store.md5_of(path) not in (None, hashes[path].md5):
            what = "changed while it was pinned"
            fix = "pin again when nothing writes it any more"
        else:
            continue
        problems.append(Problem(what=what, file=path, fix=fix))
    if problems:
        raise InputError(problems)
