"""Content-addressed bytes: each object is a file named by its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.facts import ObjectRef
from specs.atomic import write_atomically
from specs.canonical import canonical_json
from specs.errors import CheckFailed, InputError


class ObjectStore:
    """A folder of objects; bytes are checked against their name at every reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> ObjectRef:
        """Keep bytes and return the reference to them.

        Raises:
            InputError: They can't be written.
        """
        ref = ObjectRef(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        path = self.path(ref.sha256)
        if not self._holds(ref):
            try:
                write_atomically(path, data)
            except OSError as error:
                raise InputError(
                    f"can't write: {error.strerror or error}",
                    file=str(path),
                    fix="free space on this disk, then run again: it resumes",
                ) from error
        return ref

    def put_json(self, value: Any) -> ObjectRef:
        """Keep a JSON value in canonical form."""
        return self.put(canonical_json(value))

    def get(self, ref: ObjectRef) -> bytes:
        """Read an object.

        Raises:
            CheckFailed: Its bytes are not what was recorded.
            InputError: It is missing.
        """
        path = self.path(ref.sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise InputError(
                "an object of the ledger is missing",
                file=str(path),
                fix="restore it from a copy of the ledger or from MLflow's artifacts",
            ) from None
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CheckFailed(
                "an object of the ledger was changed: its bytes are not its name",
                file=str(path),
                fix="restore it from a copy of the ledger",
            )
        return data

    def get_json(self, ref: ObjectRef) -> Any:
        """Read an object that holds JSON."""
        return json.loads(self.get(ref))

    def path(self, sha256: str) -> Path:
        """Where an object is kept."""
        return self.folder / sha256[:2] / sha256

    def _holds(self, ref: ObjectRef) -> bool:
        # A damaged object is written anew: the bytes at hand are the right ones.
        try:
            data = self.path(ref.sha256).read_bytes()
        except FileNotFoundError:
            return False
        return hashlib.sha256(data).hexdigest() == ref.sha256


def references(value: object) -> Iterator[ObjectRef]:
    """Find every reference to an object inside a JSON value."""
    if isinstance(value, dict):
        if set(value) == {"sha256", "bytes"}:
            yield ObjectRef.model_validate(value)
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)
