"""From the addresses of a spec, or of its lock, to files in the workspace.

They lie in `data/NAME/`, NAME being the source's. Where each came from is kept with
what DVC tracks of it, in `meta` of its `.dvc` file, and in the lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ledger.dvc_store import DvcStore
from runtime.progress import Listener
from runtime.remote.download import Download, note_of
from runtime.remote.patience import DEFAULT_PATIENCE, Patience
from runtime.remote.places import Listing, Place, Refused, RemoteFile
from runtime.remote.presence import WantedFile, is_missing
from runtime.remote.several import download_all
from specs.errors import InputError, Problem
from specs.locations import Remote, parse_remote
from specs.lock import LockedFile, LockedInput, Origin

_MAX_NAME_BYTES = 200
"""Of a file, so that its part and its .dvc file can have longer ones."""


@dataclass(frozen=True, kw_only=True)
class RemoteInput:
    """One thing of a spec that is elsewhere."""

    key: str
    uri: str
    folder: str
    """Where its files go, relative to the workspace."""
    locked: LockedInput | None = None
    """What a lock says of it; then nothing but that will do."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """The files of one address, now here."""

    origins: Mapping[str, Origin]
    """Path relative to the workspace -> where it came from."""
    revision: str | None = None


@dataclass
class _Work:
    """What is found out before anything is downloaded."""

    found: dict[str, Brought] = field(default_factory=dict)
    wanted: list[WantedFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def bring(
    inputs: Sequence[RemoteInput],
    store: DvcStore,
    progress: Listener,
    patience: Patience = DEFAULT_PATIENCE,
) -> dict[str, Brought]:
    """Bring all files of some addresses here.

    What is here already and is the same there is not downloaded again; what a lock
    names is not even asked for.

    Returns:
        Key of the input -> its files.

    Raises:
        InputError: With everything that can't be had, or changed where it is.
    """
    work = _Work()
    for one in inputs:
        try:
            _look(one, work, patience)
        except Refused as error:
            work.problems.append(error.problem(one.key))
    _check_distinct(work)
    missing = [one for one in work.wanted if is_missing(one, store, work.problems)]
    if work.problems:
        raise InputError(work.problems)
    fetch_files(
        [
            (
                one.key,
                one.path,
                Download(
                    file=one.file,
                    place=one.place,
                    target=store.workspace / one.path,
                    sha256=one.sha256,
                ),
            )
            for one in missing
        ],
        store,
        progress,
        patience,
    )
    for file in missing:
        # What DVC tracks under this name is no longer what it was told of.
        if store.origin_of(file.path) is not None:
            store.set_origin(file.path, None)
    return work.found


def fetch_files(
    wanted: Sequence[tuple[str, str, Download]],
    store: DvcStore,
    progress: Listener,
    patience: Patience = DEFAULT_PATIENCE,
) -> None:
    """Download files, given with their keys and paths.

    Raises:
        InputError: With every file that can't be had.
    """
    if not wanted:
        return
    downloads = {path: download for _, path, download in wanted}
    try:
        _, refused = download_all(
            downloads, store.workspace, progress, patience=patience
        )
    except Refused as error:
        raise InputError(error.problem(wanted[0][0])) from None
    problems = [
        refused[path].problem(key, path) for key, path, _ in wanted if path in refused
    ]
    if problems:
        raise InputError(problems)


def record_origins(brought: Iterable[Brought], store: DvcStore) -> None:
    """Keep with what DVC tracks where it came from; then no note is needed any more."""
    for one in brought:
        for path, origin in one.origins.items():
            stated = origin.to_json()
            if store.origin_of(path) != stated:
                store.set_origin(path, stated)
            note_of(store.workspace / path).unlink(missing_ok=True)


def open_place(uri: str, patience: Patience = DEFAULT_PATIENCE) -> Place:
    """Open what an address is in; nothing is asked yet.

    Raises:
        Refused: The environment holds credentials of no use.
    """
    scheme = parse_remote(uri).scheme
    if scheme == "hf":
        from runtime.remote.hub import Hub

        return Hub(patience)
    if scheme == "s3":
        from runtime.remote.s3 import S3

        return S3(patience)
    if scheme == "gs":
        from runtime.remote.google_storage import GoogleStorage

        return GoogleStorage(patience)
    from runtime.remote.web import Web

    return Web(uri, patience)


def locked_download(file: LockedFile, place: Place, store: DvcStore) -> Download:
    """Return a download of exactly what the lock says."""
    return Download(
        file=_locked_file(file),
        place=place,
        target=store.workspace / file.path,
        sha256=file.sha256,
    )


def _locked_file(file: LockedFile) -> RemoteFile:
    assert file.origin is not None
    name = PurePosixPath(file.path).name
    return RemoteFile(path=name, num_bytes=file.bytes, origin=file.origin)


def _look(one: RemoteInput, work: _Work, patience: Patience) -> None:
    """Find out which files an address means: by the lock, or by asking."""
    place = open_place(one.uri, patience)
    if one.locked is not None:
        origins = {}
        for locked in one.locked.files:
            file = _locked_file(locked)
            origins[locked.path] = file.origin
            work.wanted.append(
                WantedFile(one.key, locked.path, file, place, locked.sha256)
            )
        revision = one.locked.revision
        work.found[one.key] = Brought(origins=origins, revision=revision)
        return
    remote = parse_remote(one.uri)
    listing = place.listing(remote)
    _check_names(one, remote, listing)
    files = {f"{one.folder}/{file.path}": file for file in listing.files}
    work.wanted += [
        WantedFile(one.key, path, file, place) for path, file in sorted(files.items())
    ]
    work.found[one.key] = Brought(
        origins={path: file.origin for path, file in files.items()},
        revision=listing.revision,
    )


def _check_names(one: RemoteInput, remote: Remote, listing: Listing) -> None:
    """Refuse names that lead elsewhere here: they are whatever a stranger chose."""
    if not listing.files:
        what = f"nothing is there that fits: {one.uri}"
        raise Refused(what, "correct the address or the pattern")
    for file in listing.files:
        names = file.path.split("/")
        is_bad = any(
            name in ("", ".", "..")
            or name.startswith(".")
            or name.endswith(".dvc")
            or any(character < " " or character == "\\" for character in name)
            or len(os.fsencode(name)) > _MAX_NAME_BYTES
            for name in names
        )
        if is_bad:
            what = f"{file.path!r} can't be the name of a file here"
            raise Refused(what, "name the files one by one, or by a narrower pattern")


def _check_distinct(work: _Work) -> None:
    paths: dict[str, str] = {}
    for one in work.wanted:
        if paths.setdefault(one.path.lower(), one.path) != one.path:
            what = f"{paths[one.path.lower()]} and {one.path} differ by case alone"
            work.problems.append(
                Problem(what=what, path=one.key, fix="use a narrower pattern")
            )
