"""Which stores of a spec a bucket has already, and which it does not have yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runtime.store_bucket import elsewhere
from runtime.store_builder import StoreBuilder
from runtime.store_sharing import (
    adopt_store,
    adopt_tokenizer,
    publish_store,
    put_tokenizer,
)
from runtime.token_store import read_manifest
from runtime.tokenizer import find_tokenizer, tokenizer_path
from specs.lock import Lock
from specs.stores import Stores


def is_there(builder: StoreBuilder, lock: Lock) -> bool:
    """Tell whether a store is complete, here or in the bucket, and take it over.

    Raises:
        InputError: The bucket can't be read, or has another store than the lock says.
    """
    if builder.is_complete:
        return True
    if builder.stores is None:
        return False
    known = lock.stores.get(builder.name)
    is_known = known is not None and known.identity == builder.identity
    sha256 = known.manifest_sha256 if known is not None and is_known else None
    return adopt_store(builder.stores, builder.folder, sha256)


def has_tokenizer(stores: Stores, workspace: Path, sha256: str) -> bool:
    """Tell whether a tokenizer is here or in the bucket, and take it over.

    Raises:
        InputError: The bucket can't be read.
    """
    if find_tokenizer(workspace, sha256):
        return True
    return adopt_tokenizer(stores, tokenizer_path(workspace, sha256))


def share_stores(
    stores: Stores, builders: Iterable[StoreBuilder], tokenizer: Path
) -> None:
    """Move to the bucket what was made before the spec named one.

    Raises:
        InputError: The bucket can't be written.
    """
    put_tokenizer(stores, tokenizer)
    for builder in builders:
        if elsewhere(builder.folder) is None:
            publish_store(stores, builder.folder, read_manifest(builder.folder))
