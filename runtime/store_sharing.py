"""Sharing token stores by a bucket: putting them there and taking them over.

What lies where is told in `store_bucket`. A store is complete there once it has its
manifest, which is written last.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterable
from pathlib import Path

from runtime.block_cache import BLOCK_BYTES, block_digest
from runtime.funnel import funnel_path
from runtime.storage import Storage
from runtime.store_bucket import (
    BLOCKS,
    ELSEWHERE,
    FUNNEL,
    TOKENIZERS,
    Elsewhere,
    open_bucket,
    unreadable,
)
from runtime.store_format import MANIFEST, FileRecord, Manifest, ShardRecord
from specs.atomic import write_atomically
from specs.errors import InputError
from specs.stores import Stores


def put_shard(location: str, folder: Path, shards: Iterable[ShardRecord]) -> None:
    """Move the files of a shard from a folder to its store's part of a location.

    Raises:
        InputError: They can't be written there; the folder still has them.
    """
    storage = open_bucket(location, folder.name)
    records = [one for shard in shards for one in (shard.tokens, shard.documents)]
    _put_files(storage, folder, records, location)
    for record in records:
        (folder / record.name).unlink()


def put_manifest(stores: Stores, folder: Path, manifest: bytes) -> None:
    """Make a store complete whose shards are in the bucket.

    Args:
        stores: Where it is.
        folder: Of the store in the workspace, named by its identity.
        manifest: Its bytes.

    Raises:
        InputError: The bucket can't be written.
    """
    storage = open_bucket(stores.location, folder.name)
    funnel = funnel_path(workspace_of(folder), folder.name)
    try:
        if funnel.is_file():
            storage.write(FUNNEL, [funnel.read_bytes()])
        storage.write(MANIFEST, [manifest])
    except OSError as error:
        raise unreadable(stores.location, error) from error
    _keep_elsewhere(stores, folder, manifest)


def publish_store(stores: Stores, folder: Path, manifest: Manifest) -> None:
    """Move a store that was made in the workspace to the bucket.

    Raises:
        InputError: The bucket can't be written.
    """
    storage = open_bucket(stores.location, folder.name)
    records = manifest.files_of(*manifest.splits)
    _put_files(storage, folder, records, stores.location)
    put_manifest(stores, folder, manifest.to_bytes())
    for record in records:
        (folder / record.name).unlink()


def adopt_store(stores: Stores, folder: Path, sha256: str | None) -> bool:
    """Take over a store that another machine has made.

    Args:
        stores: Where it may be.
        folder: Of the store in this workspace, named by its identity.
        sha256: Of its manifest, if that is known.

    Returns:
        Whether it is there.

    Raises:
        InputError: The bucket can't be read, or has another store of this name.
    """
    storage = open_bucket(stores.location, folder.name)
    try:
        names = storage.names()
        if MANIFEST not in names:
            return False
        manifest = storage.read(MANIFEST)
        funnel = storage.read(FUNNEL) if FUNNEL in names else None
    except OSError as error:
        raise unreadable(stores.location, error) from error
    if sha256 is not None and hashlib.sha256(manifest).hexdigest() != sha256:
        raise InputError(
            "is not the manifest that the lock names",
            file=f"{stores.location}/{folder.name}/{MANIFEST}",
            fix="delete this token store in the bucket and run codemix prepare",
        )
    if funnel is not None:
        write_atomically(funnel_path(workspace_of(folder), folder.name), funnel)
    _keep_elsewhere(stores, folder, manifest)
    return True


def put_tokenizer(stores: Stores, model: Path) -> None:
    """Keep a tokenizer beside the stores, unless it is there.

    Args:
        stores: Where.
        model: Named by its SHA-256.

    Raises:
        InputError: The bucket can't be written.
    """
    storage = open_bucket(stores.location, TOKENIZERS)
    try:
        if model.name not in storage.names():
            storage.write(model.name, [model.read_bytes()])
    except OSError as error:
        raise unreadable(stores.location, error) from error


def adopt_tokenizer(stores: Stores, model: Path) -> bool:
    """Take a tokenizer over; tell whether it is there.

    Raises:
        InputError: The bucket can't be read, or has other bytes under this name.
    """
    try:
        data = open_bucket(stores.location, TOKENIZERS).read(model.name)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(stores.location, error) from error
    if hashlib.sha256(data).hexdigest() != model.stem:
        raise InputError(
            "is not the tokenizer that its name says",
            file=f"{stores.location}/{TOKENIZERS}/{model.name}",
            fix="delete it there",
        )
    write_atomically(model, data)
    return True


def workspace_of(folder: Path) -> Path:
    """Return the workspace of a store's folder."""
    return folder.parents[2]


def _put_files(
    storage: Storage, folder: Path, records: Iterable[FileRecord], location: str
) -> None:
    try:
        for record in records:
            _put_file(storage, folder / record.name)
    except OSError as error:
        raise unreadable(location, error) from error


def _put_file(storage: Storage, path: Path) -> None:
    """Write a file and the digests of its blocks."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            storage.write(path.name, [])
            storage.write(path.name + BLOCKS, [])
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            view = memoryview(data)
            digests = [
                block_digest(view[start : start + BLOCK_BYTES])
                for start in range(0, len(view), BLOCK_BYTES)
            ]
            storage.write(path.name, [view])
            view.release()
    storage.write(path.name + BLOCKS, [b"".join(digests)])


def _keep_elsewhere(stores: Stores, folder: Path, manifest: bytes) -> None:
    """Remember in the workspace where a complete store is."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Elsewhere(location=stores.location, cache_bytes=stores.cache_bytes)
    write_atomically(folder / ELSEWHERE, place.to_bytes())
    write_atomically(folder / MANIFEST, manifest)
