"""Writing one shard of a token store in a keyed order, with little memory.

Documents come in the order of the file. They go to a spool file first and from there,
in the order of their keyed hashes, to the final file: so neither the tokens of a shard
nor their order depend on who wrote it or on how much memory there was.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from array import array
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from runtime.store_format import DOCUMENT, FileRecord, ShardRecord, token_dtype
from specs.atomic import sync_folder


class ShardWriter:
    """The documents of one shard and split, until all are there."""

    def __init__(
        self, folder: Path, *, split: str, shard: int, order_key: int, vocab_size: int
    ):
        """Start a shard.

        Args:
            folder: The store's folder.
            split: `train` or `heldout`.
            shard: Number of the shard in the store.
            order_key: Key of the order of the documents.
            vocab_size: Decides the bytes per token.
        """
        self._folder = folder
        self._stem = f"{split}-{shard:05d}"
        self._order_key = order_key.to_bytes(8, "little")
        self._dtype = token_dtype(vocab_size)
        # Nameless: the system frees it whatever becomes of this process.
        self._spool: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115
            dir=folder
        )
        self._lengths = array("Q")
        self._numbers = array("Q")
        self._files = array("Q")
        self._bytes = array("Q")

    def add(
        self, tokens: NDArray[np.integer], *, file: int, number: int, num_bytes: int
    ) -> None:
        """Append one document, its EOS included."""
        self._spool.write(tokens.astype(self._dtype).tobytes())
        self._lengths.append(len(tokens))
        self._numbers.append(number)
        self._files.append(file)
        self._bytes.append(num_bytes)

    def finish(self) -> ShardRecord:
        """Write the files whole and describe them."""
        order = self._order()
        lengths = np.array(self._lengths, np.int64)
        records = np.empty(len(order), DOCUMENT)
        records["stop_token"] = np.cumsum(lengths[order])
        records["number"] = np.array(self._numbers, np.uint64)[order]
        records["file"] = np.array(self._files, np.uint32)[order]
        records["bytes"] = np.array(self._bytes, np.uint32)[order]
        tokens = self._write_tokens(order, lengths)
        documents = _Output(self._folder, f"{self._stem}.documents")
        documents.write(records.tobytes())
        return ShardRecord(
            tokens=tokens,
            documents=documents.finish(),
            num_tokens=int(lengths.sum()),
            num_documents=len(order),
            num_text_bytes=sum(self._bytes),
        )

    def _order(self) -> NDArray[np.int64]:
        """Sort the documents by a keyed hash of their place in the shard."""
        hashes = [
            hashlib.blake2b(
                index.to_bytes(8, "little"), key=self._order_key, digest_size=8
            ).digest()
            for index in range(len(self._lengths))
        ]
        ranks = np.frombuffer(b"".join(hashes), ">u8")
        return np.argsort(ranks, kind="stable").astype(np.int64)

    def _write_tokens(
        self, order: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> FileRecord:
        self._spool.flush()
        output = _Output(self._folder, f"{self._stem}.tokens")
        if len(order):
            spool = np.memmap(self._spool, self._dtype, mode="r")
            stops = np.cumsum(lengths)
            for index in order:
                stop = stops[index]
                output.write(spool[stop - lengths[index] : stop].tobytes())
        self._spool.close()
        return output.finish()


class _Output:
    """A file that is hashed while it is written and appears whole."""

    def __init__(self, folder: Path, name: str):
        self._path = folder / name
        # A name of its own: where machines share the work, a shard that seems lost may
        # be given to a second writer. Both come to the same bytes.
        self._temporary = folder / f".{name}.{secrets.token_hex(8)}.tmp"
        self._file = self._temporary.open("xb", buffering=2**20)
        self._hash = hashlib.sha256()
        self._num_bytes = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._num_bytes += len(data)

    def finish(self) -> FileRecord:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        sync_folder(self._path.parent)
        return FileRecord(
            name=self._path.name,
            sha256=self._hash.hexdigest(),
            num_bytes=self._num_bytes,
        )
