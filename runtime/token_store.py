"""Token stores: one source, tokenised, on disk, read without loading it.

A store is a folder. Each shard has, for each split, a file of tokens (little-endian
unsigned integers, 2 bytes where the vocabulary allows) and a file of documents (one
record each, see `DOCUMENT`). `manifest.json` names them in order, with their digests;
it is written last, so a folder that has one is complete. Where the folder says that its
files are in a bucket, tokens are brought here as they are asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from runtime.store_bucket import RemoteFiles, elsewhere
from runtime.store_format import (
    DOCUMENT,
    MANIFEST,
    DocumentRef,
    FileRecord,
    Manifest,
    token_dtype,
)
from specs.errors import InputError, Problem

KeptSplit = Literal["train", "heldout"]


class TokenStore:
    """One split of one source: a read-only sequence of tokens."""

    def __init__(
        self,
        folder: Path,
        split: KeptSplit,
        manifest: Manifest,
        remote: RemoteFiles | None = None,
    ):
        """Use `open`, which checks."""
        self.folder = folder
        self._remote = remote
        self._documents_read: dict[int, NDArray[np.void]] = {}
        self.split = split
        self.manifest = manifest
        self._shards = manifest.splits[split].shards
        tokens = np.array([shard.num_tokens for shard in self._shards], np.int64)
        documents = np.array([shard.num_documents for shard in self._shards], np.int64)
        self._token_starts = np.concatenate([[0], np.cumsum(tokens)])
        self._document_starts = np.concatenate([[0], np.cumsum(documents)])

    @classmethod
    def open(cls, folder: Path, split: KeptSplit = "train") -> TokenStore:
        """Open a store after a look at its manifest and the sizes of its files.

        Raises:
            InputError: It is not complete, or a file has another size; or it is in a
                bucket that can't be reached.
        """
        manifest = read_manifest(folder)
        place = elsewhere(folder)
        if place is not None:
            return cls(folder, split, manifest, RemoteFiles(folder, place))
        problems = [
            _damaged(folder, record, "has another size than the manifest says")
            for record in manifest.files_of(split)
            if _size_of(folder / record.name) != record.num_bytes
        ]
        if problems:
            raise InputError(problems)
        return cls(folder, split, manifest)

    @property
    def num_tokens(self) -> int:
        """Tokens of the split, one EOS per document included."""
        return int(self._token_starts[-1])

    @property
    def num_documents(self) -> int:
        """Documents of the split."""
        return int(self._document_starts[-1])

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the documents' text."""
        return self.manifest.splits[self.split].num_bytes

    @property
    def documents(self) -> Sequence[DocumentRef]:
        """The documents in the order of their tokens, looked up when asked for."""
        return _Documents(self)

    @property
    def pieces(self) -> Sequence[NDArray[np.unsignedinteger]]:
        """The tokens of each shard, as they are on disk; see `here`."""
        return self._tokens

    @property
    def is_elsewhere(self) -> bool:
        """Whether the files are in a bucket."""
        return self._remote is not None

    def here(
        self, starts: NDArray[np.int64], count: int
    ) -> AbstractContextManager[None]:
        """Make sure that tokens can be read from `pieces` while the context lasts.

        Args:
            starts: First tokens, from 0.
            count: Tokens from each of them on.

        Raises:
            InputError: They are in a bucket and can't be read, or are damaged.
        """
        if self._remote is None:
            return nullcontext()
        self._tokens  # noqa: B018 - makes the copies
        itemsize = token_dtype(self.manifest.vocab_size).itemsize
        spans = []
        for start in starts.tolist():
            shard = self._shard_with(self._token_starts, start)
            while shard < len(self._shards) and (
                (base := int(self._token_starts[shard])) < start + count
            ):
                begin = max(start - base, 0)
                stop = min(start + count - base, self._shards[shard].num_tokens)
                spans.append((shard, begin * itemsize, stop * itemsize))
                shard += 1
        return self._remote.here([one.tokens for one in self._shards], spans)

    def read(self, start: int, count: int) -> NDArray[np.int32]:
        """Read tokens, as if all shards were one array.

        Args:
            start: First token, from 0.
            count: Tokens to read; `start + count` may not pass `num_tokens`.
        """
        stop = start + count
        if start < 0 or count < 0 or stop > self.num_tokens:
            raise IndexError(
                f"tokens {start} to {stop} are outside 0 to {self.num_tokens}"
            )
        tokens_N = np.empty(count, np.int32)
        shard = self._shard_with(self._token_starts, start)
        done = 0
        with self.here(np.array([start]), count):
            while done < count:
                begin = start + done - int(self._token_starts[shard])
                found = self._tokens[shard][begin : begin + count - done]
                tokens_N[done : done + len(found)] = found
                done += len(found)
                shard += 1
        return tokens_N

    def document_at(self, token: int) -> DocumentRef:
        """Return the document that a token belongs to."""
        if not 0 <= token < self.num_tokens:
            raise IndexError(f"token {token} is outside 0 to {self.num_tokens - 1}")
        shard = self._shard_with(self._token_starts, token)
        stops = self._documents_of(shard)["stop_token"]
        local = token - int(self._token_starts[shard])
        index = int(np.searchsorted(stops, local, side="right"))
        return self._document(shard, index)

    def document(self, index: int) -> DocumentRef:
        """Return a document by its place in the split, from 0."""
        if not 0 <= index < self.num_documents:
            raise IndexError(f"document {index} is outside 0 to {self.num_documents}")
        shard = self._shard_with(self._document_starts, index)
        return self._document(shard, index - int(self._document_starts[shard]))

    def verify(self) -> None:
        """Hash every byte of both splits and compare with the manifest.

        Raises:
            InputError: With every file that is missing or differs.
        """
        problems = []
        for record in self.manifest.files_of("train", "heldout"):
            path = self.folder / record.name
            if self._remote is not None:
                self._remote.whole(record)
            elif _size_of(path) is None:
                problems.append(_damaged(self.folder, record, "is missing"))
            elif sha256_of(path) != record.sha256:
                what = "has other bytes than the manifest says"
                problems.append(_damaged(self.folder, record, what))
        if problems:
            raise InputError(problems)

    @cached_property
    def _tokens(self) -> list[NDArray[np.unsignedinteger]]:
        dtype = token_dtype(self.manifest.vocab_size)
        return [_map(self._path_of(shard.tokens), dtype) for shard in self._shards]

    def _path_of(self, record: FileRecord) -> Path:
        if self._remote is not None:
            return self._remote.copy_of(record)
        return self.folder / record.name

    def _documents_of(self, shard: int) -> NDArray[np.void]:
        """Return the records of a shard's documents, read on first use."""
        if shard not in self._documents_read:
            record = self._shards[shard].documents
            self._documents_read[shard] = (
                _map(self.folder / record.name, DOCUMENT)
                if self._remote is None
                else self._remote.whole(record).view(DOCUMENT)
            )
        return self._documents_read[shard]

    def _document(self, shard: int, index: int) -> DocumentRef:
        records = self._documents_of(shard)
        base = int(self._token_starts[shard])
        record = records[index]
        start = int(records[index - 1]["stop_token"]) if index else 0
        return DocumentRef(
            file=self.manifest.files[int(record["file"])],
            number=int(record["number"]),
            start_token=base + start,
            stop_token=base + int(record["stop_token"]),
            num_bytes=int(record["bytes"]),
        )

    @staticmethod
    def _shard_with(starts: NDArray[np.int64], position: int) -> int:
        """Return the shard that a position falls in; empty shards hold none."""
        return int(np.searchsorted(starts, position, side="right")) - 1


class _Documents(Sequence[DocumentRef]):
    """The documents of a store as a sequence."""

    def __init__(self, store: TokenStore):
        self._store = store

    def __len__(self) -> int:
        return self._store.num_documents

    @overload
    def __getitem__(self, index: int) -> DocumentRef: ...
    @overload
    def __getitem__(self, index: slice) -> list[DocumentRef]: ...
    def __getitem__(self, index: int | slice) -> DocumentRef | list[DocumentRef]:
        if isinstance(index, slice):
            chosen = range(*index.indices(len(self)))
            return [self._store.document(position) for position in chosen]
        return self._store.document(index + len(self) if index < 0 else index)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a complete store.

    Raises:
        InputError: There is none, or it can't be read.
    """
    try:
        value = json.loads((folder / MANIFEST).read_bytes())
        return Manifest.model_validate(value)
    except FileNotFoundError:
        what = "there is no complete token store here"
    except ValueError as error:
        what = f"the manifest can't be read: {error}"
    raise InputError(what, file=str(folder), fix="run codemix prepare")


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _map(path: Path, dtype: np.dtype) -> NDArray:  # type: ignore[type-arg]
    # An empty file can't be mapped.
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    # As a plain array: a slice of a memmap costs several times as much.
    return np.asarray(np.memmap(path, dtype, mode="r"))


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _damaged(folder: Path, record: FileRecord, what: str) -> Problem:
    return Problem(
        file=f"{folder.name}/{record.name}",
        what=what,
        fix="delete the folder of this token store and run codemix prepare again",
    )
