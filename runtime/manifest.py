"""What a checkpoint holds, sealed with a digest of its own."""

from __future__ import annotations

import json

from ledger.recorder import TensorFacts
from runtime.row_files import Share
from specs.base import Value
from specs.canonical import canonical_json

MANIFEST = "manifest.json"


class ShareFacts(Value):
    """One file of rows."""

    part: int
    start_row: int
    stop_row: int
    digests: str
    """SHA-256 of each row, in the order of the file, 64 hex digits each."""

    @classmethod
    def of(cls, share: Share, digests: bytes) -> ShareFacts:
        """Put a share and the digests of its rows together."""
        return cls(
            part=share.part,
            start_row=share.start_row,
            stop_row=share.stop_row,
            digests=digests.hex(),
        )

    @property
    def share(self) -> Share:
        """Which rows they are."""
        return Share(self.part, self.start_row, self.stop_row)


class Manifest(Value):
    """What a checkpoint holds."""

    step: int
    """Steps done, over the whole run."""
    is_stage_end: bool
    num_rows: int
    """Rows that every tensor is cut into; see `runtime.state`."""
    num_parts: int
    """Parts that tensors are cut into; see `runtime.tensors`."""
    num_updates: int
    """Steps that the optimizer's moments have seen."""
    shares: tuple[ShareFacts, ...]
    """All files of rows."""
    tensors: dict[str, TensorFacts]
    """Name -> facts of the whole tensor."""

    def sealed(self) -> bytes:
        """Return the bytes of the file."""
        return canonical_json({"manifest": self.to_json(), "sha256": self.digest})

    @classmethod
    def opened(cls, raw: bytes) -> Manifest:
        """Read the bytes of the file.

        Raises:
            ValueError: They are not what was written.
        """
        document = json.loads(raw)
        manifest = cls.model_validate_json(json.dumps(document["manifest"]))
        if document["sha256"] != manifest.digest:
            raise ValueError("the manifest is not what its own digest says")
        return manifest
