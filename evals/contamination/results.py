"""What is kept of a scan: a file per shard, named by all that it depends on.

So a scan that was killed goes on with the shards that are missing, and a second spec
on the same sources scans nothing. A file that is not what it says is scanned again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from evals.contamination.needles import QuestionIndex
from evals.contamination.scan import Findings
from specs.atomic import write_atomically
from specs.base import Value
from specs.errors import InputError

_INDEX = "index.json"


def write_index(folder: Path, index: QuestionIndex) -> None:
    """Keep an index for the worker processes."""
    path = folder / _INDEX
    if not path.is_file():
        write_atomically(path, _sealed(index))


def read_index(folder: Path, digest: str) -> QuestionIndex:
    """Read an index that was kept.

    Raises:
        InputError: It is not the one with this digest.
    """
    body = _opened(folder / _INDEX)
    index = None if body is None else QuestionIndex.model_validate_json(body)
    if index is None or index.digest != digest:
        raise InputError(
            "the index of questions is missing or damaged",
            file=_INDEX,
            fix="delete .codemix/contamination and run the command again",
        )
    return index


def write_findings(path: Path, findings: Findings) -> None:
    """Keep the findings of a shard."""
    write_atomically(path, _sealed(findings))


def read_findings(path: Path) -> Findings | None:
    """Return the findings of a shard; None if there are none that are whole."""
    body = _opened(path)
    return None if body is None else Findings.model_validate_json(body)


def _sealed(value: Value) -> bytes:
    """Put the SHA-256 of a value's bytes before them."""
    body = json.dumps(value.to_json(), sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"


def _opened(path: Path) -> bytes | None:
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    is_whole = hashlib.sha256(body[:-1]).hexdigest().encode() == digest
    return body[:-1] if is_whole else None
