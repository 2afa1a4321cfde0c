"""The files of a token store: their types, names and manifest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from runtime.value_counts import Choice
from specs.base import Value

STORE_VERSION = 1
"""Part of every store's identity: a change of layout or order is another store."""

MANIFEST = "manifest.json"

DOCUMENT = np.dtype(
    [
        ("stop_token", "<u8"),  # one past its last token, counted within the shard
        ("number", "<u8"),  # line or row in its file, counted from 1
        ("bytes", "<u4"),  # UTF-8 bytes of its text
        ("file", "<u4"),  # index in the manifest's files
    ]
)


def token_dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """Return the type of a token on disk.

    >>> token_dtype(65536), token_dtype(65537)
    (dtype('uint16'), dtype('uint32'))
    """
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Where a document is in the store, and where it came from."""

    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1."""
    start_token: int
    """First token, counted over the whole split."""
    stop_token: int
    """One past the last token, which is EOS."""
    num_bytes: int
    """UTF-8 bytes of the text."""


class FileRecord(Value):
    """One file of the store."""

    name: str
    """Relative to the store's folder."""
    sha256: str
    num_bytes: int


class ShardRecord(Value):
    """One shard of one split."""

    tokens: FileRecord
    documents: FileRecord
    num_tokens: int
    num_documents: int
    num_text_bytes: int
    """UTF-8 bytes of the documents' text."""


class ShardResult(Value):
    """What became of the documents of one shard."""

    splits: dict[str, ShardRecord]
    read: int
    """Documents read."""
    dropped: dict[str, int]
    """Reason -> documents dropped by it."""
    reserved: int
    """Documents that another source may hold out, so that none trains on them."""
    corrupt: int
    """Lines or rows that could not be read and were skipped."""
    funnel: Annotated[str | None, Field(exclude_if=lambda text: text is None)] = None
    """The steps of `runtime.funnel`, as text: a source may have thousands of shards.
    Null in records of versions that did not keep it."""


class SplitRecord(Value):
    """One split: its shards in order."""

    shards: tuple[ShardRecord, ...]
    num_tokens: int
    num_documents: int
    num_bytes: int
    """UTF-8 bytes of the documents' text."""


class Manifest(Value):
    """Everything that a store holds."""

    store: Literal[1]
    identity: str
    """Digest of what determines the store's bytes."""
    source: str
    tokenizer_sha256: str
    vocab_size: int
    eos_id: int
    files: tuple[str, ...]
    """The source's files, relative to the workspace, in the order read."""
    splits: dict[str, SplitRecord]
    """`train` and `heldout`."""
    read: int
    dropped: dict[str, int]
    reserved: int
    corrupt: int
    choices: Annotated[
        dict[str, Choice], Field(exclude_if=lambda found: not found)
    ] = {}
    """Reason of a filter that chooses by counting -> what it keeps."""

    def files_of(self, *splits: str) -> list[FileRecord]:
        """Return the files of some splits."""
        shards = chain.from_iterable(self.splits[split].shards for split in splits)
        return [
            record for shard in shards for record in (shard.tokens, shard.documents)
        ]
