"""Token stores: one source, tokenised, on disk, read without loading it.

A store is a folder. Each shard has, for each split, a file of tokens (little-endian
unsigned integers, 2 bytes where the vocabulary allows) and a file of documents (one
record each, see `DOCUMENT`). `manifest.json` names them in order, with their digests;
it is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from runtime.store_format import DOCUMENT, MANIFEST, FileRecord, Manifest, token_dtype
from specs.errors import InputError, Problem

KeptSplit = Literal["train", "heldout"]


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


class TokenStore:
    """One split of one source: a read-only sequence of tokens."""

    def __init__(self, folder: Path, split: KeptSplit, manifest: Manifest):
        """Use `open`, which checks."""
        self.folder = folder
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
            InputError: It is not complete, or a file has another size.
        """
        manifest = read_manifest(folder)
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
        """The tokens of each shard, as they are on disk."""
        return self._tokens

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
        stops = self._documents[shard]["stop_token"]
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
            if _size_of(path) is None:
                problems.append(_damaged(self.folder, record, "is missing"))
            elif sha256_of(path) != record.sha256:
                what = "has other bytes than the manifest says"
                problems.append(_damaged(self.folder, record, what))
        if problems:
            raise InputError(problems)

    @cached_property
    def _tokens(self) -> list[NDArray[np.unsignedinteger]]:
        dtype = token_dtype(self.manifest.vocab_size)
        return [_map(self.folder / shard.tokens.name, dtype) for shard in self._shards]

    @cached_property
    def _documents(self) -> list[NDArray[np.void]]:
        shards = self._shards
        return [_map(self.folder / shard.documents.name, DOCUMENT) for shard in shards]

    def _document(self, shard: int, index: int) -> DocumentRef:
        records = self._documents[shard]
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
