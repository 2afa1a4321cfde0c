"""Where everything lies in a bundle, and which names may be there at all.

README.txt                            for people
ro-crate-metadata.json                what each file is, with its SHA-256
ledger/entries/<digest>.json          the run, and the documents it needs
ledger/objects/<aa>/<sha256>          what they refer to
ledger/order.jsonl                    lines of the log that they came from
spec/<name>.yaml, spec/<name>.lock    as `codemix run` reads them
spec/resolved.json                    the spec, defaults written out
pins/<path>.dvc, pins/remotes.json    what DVC tracks, and where it is shared
environment/requirements.txt          name==version
code/<which>.bundle                   a git repository with the run's commit
checkpoints/<step>/...                rows and manifests
verify.py                             checks all this without codemix
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FORMAT = "codemix-bundle-1"

METADATA = "ro-crate-metadata.json"
README = "README.txt"
VERIFY = "verify.py"
ORDER = "ledger/order.jsonl"
REMOTES = "pins/remotes.json"
RESOLVED = "spec/resolved.json"
REQUIREMENTS = "environment/requirements.txt"

CODE = {"repository": "code/codemix.bundle", "workspace": "code/workspace.bundle"}
"""Repository of an entry's code -> its git bundle."""

ENTRY = re.compile(r"ledger/entries/([0-9a-f]{64})\.json")
OBJECT = re.compile(r"ledger/objects/([0-9a-f]{2})/(\1[0-9a-f]{62})")
CHECKPOINT = re.compile(r"checkpoints/([0-9]{8,12})/([0-9-]+\.rows|manifest\.json)")

SPEC_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What an experiment may be called."""

_FIXED = {METADATA, README, VERIFY, ORDER, REMOTES, RESOLVED, REQUIREMENTS}
_KNOWN = (
    ENTRY,
    OBJECT,
    CHECKPOINT,
    re.compile(rf"spec/{SPEC_NAME.pattern}\.(yaml|lock)"),
    re.compile(r"pins/.+\.dvc", re.DOTALL),
)

Tell = Callable[[str, int, int], None]
"""Told often: what is being done, bytes done, bytes in all."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a bundle that is being made."""

    name: str
    content: bytes | Path
    """The bytes, or the file that holds them."""
    sha256: str | None = None
    """What the bytes must be, where that is known beforehand."""

    @property
    def num_bytes(self) -> int:
        """Its size."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.stat().st_size


def entry_name(digest: str) -> str:
    """Where a document lies."""
    return f"ledger/entries/{digest}.json"


def object_name(sha256: str) -> str:
    """Where an object lies."""
    return f"ledger/objects/{sha256[:2]}/{sha256}"


def is_known(name: str) -> bool:
    """Tell whether a bundle may have a file of this name."""
    known = name in _FIXED or name in CODE.values()
    return known or any(pattern.fullmatch(name) for pattern in _KNOWN)


def why_unsafe(name: str) -> str | None:
    r"""Say why a name could lead out of a folder, or mean two files; null if it can't.

    >>> why_unsafe("pins/data/a.jsonl.dvc")
    >>> why_unsafe("../a")
    'leads out of the bundle'
    >>> why_unsafe("C:/a")
    'names a drive'
    """
    if "\\" in name:
        return "has a backslash"
    if name.startswith("/"):
        return "is absolute"
    if re.match(r"[A-Za-z]:", name):
        return "names a drive"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "has a control character"
    parts = name.split("/")
    if ".." in parts:
        return "leads out of the bundle"
    if "" in parts or "." in parts:
        return "is not a plain path"
    return None


def is_workspace_path(path: str) -> bool:
    """Tell whether a path of a lock stays inside the workspace and out of our folders.

    >>> is_workspace_path("data/a.jsonl"), is_workspace_path(".git/hooks/pre-commit")
    (True, False)
    """
    own = {".git", ".dvc", ".codemix"}
    parts = PurePosixPath(path).parts
    return why_unsafe(path) is None and not own & {part.lower() for part in parts}
