"""Every kind of document that the ledger holds, and how one is read.

run          what was trained                    `ledger.entry`
replay       the verdict on a run                `ledger.verdict`
evaluation   scores that were made after a run   `ledger.evaluation`
annotation   tags and notes on a document        `ledger.annotation`
attestation  a signature on a document           `ledger.attestation`
"""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from ledger.annotation import Annotation
from ledger.attestation import Attestation
from ledger.entry import SCHEMA_VERSION, Entry
from ledger.evaluation import Evaluation
from ledger.verdict import Verdict
from specs.errors import InputError

AnyEntry = Entry | Verdict | Evaluation | Annotation | Attestation
"""A document of the ledger, told apart by its `kind`."""

_DOCUMENT: TypeAdapter[AnyEntry] = TypeAdapter(
    Annotated[AnyEntry, Field(discriminator="kind")]
)


class Stored(NamedTuple):
    """A document with the digest of its stored bytes."""

    digest: str
    entry: AnyEntry


class UnknownDocument(InputError):
    """A document that another codemix wrote, whole but beyond this one."""


def read_document(data: bytes, file: str) -> AnyEntry:
    """Read the bytes of a document, which are what its name says.

    Args:
        data: Its bytes.
        file: What errors call it.

    Raises:
        UnknownDocument: This codemix does not know such documents.
    """
    return document_of(parse_document(data, file), file)


def parse_document(data: bytes, file: str) -> dict[str, Any]:
    """Read the bytes of a document as JSON.

    Raises:
        InputError: They are no JSON object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    raise InputError(
        "this is no document of codemix: its bytes are no JSON object",
        file=file,
        fix="find out who wrote it; codemix did not",
    )


def document_of(document: dict[str, Any], file: str) -> AnyEntry:
    """Read a document from its JSON; see `read_document`."""
    if document.get("schema") != SCHEMA_VERSION:
        what = (
            f"entry has schema {document.get('schema')!r}, "
            f"this codemix reads schema {SCHEMA_VERSION}"
        )
        raise UnknownDocument(what, file=file, fix="use a newer codemix")
    try:
        return _DOCUMENT.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnknownDocument(
            f"another codemix wrote this entry: {place}: {first['msg']}",
            file=file,
            fix="use the codemix that wrote it, or a newer one",
        ) from None


def subject_of(entry: AnyEntry) -> str | None:
    """Return the digest of what a document is about.

    Null of a run, and of an evaluation of weights that no entry is known to have.
    """
    if isinstance(entry, Entry):
        return None
    return entry.original if isinstance(entry, Verdict) else entry.subject


def run_of(stored: Stored) -> Entry:
    """Return the run that was found; what is about a run is refused, and names it.

    Raises:
        InputError: It is not a run.
    """
    entry = stored.entry
    if isinstance(entry, Entry):
        return entry
    article = "an" if entry.kind[0] in "ae" else "a"
    subject = subject_of(entry)
    raise InputError(
        f"entry {stored.digest[:12]} is {article} {entry.kind}, not a run",
        fix=f"name the one that it is about, {subject[:12]}"
        if subject is not None
        else "it is of weights that no entry of the ledger has",
    )
