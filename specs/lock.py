"""The lock: every byte that a spec names, written by `codemix pin` beside the spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specs.base import Value
from specs.benchmarks import NO_BENCHMARKS, Benchmarks


def _path(file: LockedFile) -> str:
    return file.path


def _is_absent(found: object) -> bool:
    return found is None


class Origin(Value):
    """Where a file was downloaded from, and what the place said of it then."""

    address: str
    """Of this one file, such as `hf://datasets/ORG/NAME@COMMIT/a.parquet`."""
    etag: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """The place's name for these bytes; a change of it is a change of the file."""
    modified: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """When it last changed there, where the place gives it no other name."""
    stated: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """Digest that the place states: `sha256:...`, `md5:...`, or `git:...` of a blob."""


class LockedFile(Value):
    """One pinned file."""

    path: str
    """Relative to the workspace, with forward slashes."""
    sha256: str
    bytes: int
    documents: int | None
    """Lines, rows or files that hold a document; null where that has no meaning."""
    dvc_hash: str | None = None
    """DVC's own hash of this file, `md5:...`; null where DVC does not know it."""
    origin: Annotated[Origin | None, Field(exclude_if=_is_absent)] = None
    """Where it was downloaded from; absent for a file of one's own."""


class LockedInput(Value):
    """One source, tokenizer file or benchmark file."""

    uri: str
    """As the spec names it."""
    dvc: str
    """What tracks it: a `.dvc` file, `dvc.yaml:STAGE` for the output of a stage, or for
    a glob its pattern with `.dvc` added, as each matched file has a `.dvc` file."""
    dvc_hash: str
    """DVC's own hash of the output, `md5:...`; of a glob, over its list of files."""
    files: tuple[LockedFile, ...]
    """In the order in which they are read: by path."""
    revision: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """The commit of a data set on the hub that its files are from."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def num_documents(self) -> int:
        """Documents of all files."""
        return sum(file.documents or 0 for file in self.files)


class LockedStore(Value):
    """What `prepare` made of a source; filled in by `codemix prepare`."""

    identity: str
    """Digest of what determines the store's bytes."""
    manifest_sha256: str
    """SHA-256 over the store's manifest."""
    train_tokens: int
    heldout_tokens: int


class Lock(Value):
    """All inputs of one spec."""

    lock: Literal[1]
    """Version of this document."""
    codemix: str
    """Version of codemix that wrote it."""
    inputs: dict[str, LockedInput]
    """`sources.NAME`, `tokenizer`, `evals.INDEX`, `tasks.NAME`, `shots.NAME` and
    `kept_out.NAME` -> what is pinned; of a source with a list of locations,
    `sources.NAME.INDEX`."""
    benchmarks: Annotated[
        Benchmarks, Field(exclude_if=lambda found: found.is_empty)
    ] = NO_BENCHMARKS
    """The tasks that are scored, as they were declared when the lock was written. A run
    goes by these."""
    stores: dict[str, LockedStore] = {}
    """Source name -> its token store; empty until prepared."""
    tokenizer_sha256: str | None = None
    """SHA-256 of the SentencePiece model; null until prepared."""
    tokenizer_identity: str | None = None
    """Digest of what determines the tokenizer's bytes; null until prepared."""

    def keys_of(self, source: str) -> list[str]:
        """Return the keys of the inputs of a source, given as `sources.NAME`."""
        return [
            key for key in self.inputs if key == source or key.startswith(f"{source}.")
        ]

    def pinned(self, source: str) -> LockedInput:
        """Return all files of a source, given as `sources.NAME`, by path.

        Raises:
            KeyError: It is not in the lock.
        """
        if source in self.inputs:
            return self.inputs[source]
        found = [self.inputs[key] for key in self.keys_of(source)]
        if not found:
            raise KeyError(source)
        files = sorted((file for one in found for file in one.files), key=_path)
        uri = ", ".join(one.uri for one in found)
        return LockedInput(uri=uri, dvc="", dvc_hash="", files=tuple(files))

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files that are pinned, relative to the workspace."""
        inputs = self.inputs.values()
        return tuple(file.path for pinned in inputs for file in pinned.files)
