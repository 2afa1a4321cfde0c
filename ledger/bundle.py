"""A bundle as something to read: what `codemix diff` and others open."""

from __future__ import annotations

from pathlib import Path

from ledger.bundle_read import read_bundle
from ledger.store import Ledger
from specs.errors import InputError

SUFFIX = ".crate.zip"
"""How bundles are called."""


def open_bundle(path: Path, folder: Path) -> tuple[Ledger, str]:
    """Check a bundle and unpack it.

    Args:
        path: The file.
        folder: An empty folder for what is in it; it has to outlive the ledger.

    Returns:
        A ledger with the bundle's documents, and the digest of its run.

    Raises:
        CheckFailed: Something in the bundle is not what it says.
        InputError: It can't be read.
    """
    if not path.is_file():
        raise InputError("no such file", file=str(path), fix="name a bundle")
    opened = read_bundle(path, folder, trusted={})
    return opened.ledger, opened.digest
