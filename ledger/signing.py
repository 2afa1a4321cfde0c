"""Signing entries, and telling what a signature is worth."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from ledger.attestation import Attestation
from ledger.documents import AnyEntry, Stored
from ledger.dsse import Envelope, decode_envelope, encode_envelope, pre_authentication
from ledger.head import head_of
from ledger.keys import PublicKey, SigningKey, load_key
from ledger.log import read_raw_lines
from ledger.statement import (
    ENTRY_SUBJECT,
    LOG_SUBJECT,
    PAYLOAD_TYPE,
    outputs_of,
    read_statement,
    statement_of,
)
from ledger.store import Ledger
from specs.errors import CodemixError, InputError

KEY_VARIABLE = "CODEMIX_SIGN_KEY"
"""Path of a private key: where it is set, every run, replay and evaluation is
signed with it."""


class Signature(NamedTuple):
    """One signature on an entry."""

    attestation: str
    """Digest of the document."""
    keyid: str
    who: str | None
    """Name of the key; null where it is not trusted here."""
    problem: str | None
    """Why it proves nothing; null where it is good."""


def key_of_environment() -> SigningKey | None:
    """Return the key with which everything is signed; null where none is named.

    Raises:
        InputError: It can't be read.
    """
    path = os.environ.get(KEY_VARIABLE)
    return load_key(Path(path)) if path else None


def append_signed(ledger: Ledger, entry: AnyEntry, key: SigningKey | None) -> Stored:
    """Append an entry, and sign it at once where there is a key."""
    stored = ledger.append(entry)
    if key is not None:
        sign_entry(ledger, stored.digest, key)
    return stored


def sign_entry(ledger: Ledger, digest: str, key: SigningKey) -> Stored:
    """Sign an entry and append the signature; twice is as good as once.

    Args:
        ledger: Holds the entry and takes the signature.
        digest: Of the entry.
        key: Whose signature it is.

    Raises:
        InputError: The entry is a signature itself, or not in the log.
        CheckFailed: It was changed.
    """
    entry = ledger.read(digest)
    if isinstance(entry, Attestation):
        raise InputError(
            f"entry {digest[:12]} is a signature itself",
            fix=f"sign what it is about: codemix ledger sign {entry.subject[:12]}",
        )
    lines = read_raw_lines(ledger.folder)
    numbers = [n for n, line in enumerate(ledger.log(), 1) if line.digest == digest]
    if not numbers:
        raise InputError(
            f"entry {digest[:12]} is not in the log", fix="codemix ledger verify"
        )
    payload = statement_of(digest, entry, head_of(lines[: numbers[0]]), ledger.objects)
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    envelope = Envelope(payload, PAYLOAD_TYPE, key.public.keyid, signature)
    document = Attestation(
        name=entry.name,
        subject=digest,
        key=key.public.keyid,
        envelope=ledger.objects.put(encode_envelope(envelope)),
    )
    return ledger.append(document)


def signatures_of(
    ledger: Ledger,
    digest: str,
    trusted: Mapping[str, PublicKey],
    *,
    among: Collection[str] | None = None,
) -> tuple[Signature, ...]:
    """Return the signatures on an entry, in order of arrival, each checked.

    Args:
        ledger: Holds both.
        digest: Of the entry.
        trusted: Key id -> key, see `ledger.keys.read_trusted`.
        among: Digests of the signatures to look at; null: all of the ledger.
    """
    lines = read_raw_lines(ledger.folder)
    log = ledger.log()
    own = [number for number, line in enumerate(log) if line.digest == digest]
    link = hashlib.sha256(lines[own[0]]).hexdigest() if own else ""
    found = []
    for line in log:
        if line.kind != "attestation" or (
            among is not None and line.digest not in among
        ):
            continue
        document = ledger.read(line.digest)
        if isinstance(document, Attestation) and document.subject == digest:
            outputs = dict(outputs_of(ledger.read(digest)))
            problem = _checked(document, ledger, link, outputs, trusted)
            key = trusted.get(document.key)
            who = key.name if key is not None else None
            found.append(Signature(line.digest, document.key, who, problem))
    return tuple(found)


def signature_problem(
    document: Attestation,
    data: bytes,
    *,
    link: str,
    outputs: Mapping[str, str],
    trusted: Mapping[str, PublicKey],
) -> str | None:
    """Say why a signature proves nothing; null where it is good.

    Args:
        document: The entry that names it.
        data: The envelope.
        link: SHA-256 of the line of the log that names what is signed.
        outputs: Name -> digest of what came of it, see `outputs_of`.
        trusted: Key id -> key.
    """
    try:
        envelope = decode_envelope(data)
        subjects = read_statement(envelope.payload)
    except ValueError as error:
        return str(error)
    if envelope.payload_type != PAYLOAD_TYPE:
        return f"its payload is a {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}"
    if envelope.keyid != document.key:
        return f"the envelope is of key {envelope.keyid[:12]}, not {document.key[:12]}"
    key = trusted.get(document.key)
    if key is None:
        return f"signed by a key that is not trusted: {document.key}"
    if not key.has_signed(
        pre_authentication(envelope.payload_type, envelope.payload), envelope.signature
    ):
        return f"it is not the signature of key {document.key[:12]} ({key.name})"
    if subjects.get(ENTRY_SUBJECT) != document.subject:
        return "what was signed is another entry"
    if subjects.get(LOG_SUBJECT) != link:
        return "what was signed stood elsewhere in the log, or after other entries"
    expected = {**outputs, ENTRY_SUBJECT: document.subject, LOG_SUBJECT: link}
    if any(expected.get(name) != sha256 for name, sha256 in subjects.items()):
        return "what was signed had other weights or files"
    return None


def _checked(
    document: Attestation,
    ledger: Ledger,
    link: str,
    outputs: Mapping[str, str],
    trusted: Mapping[str, PublicKey],
) -> str | None:
    try:
        data = ledger.objects.get(document.envelope)
    except CodemixError as error:
        return error.problems[0].what
    return signature_problem(
        document, data, link=link, outputs=outputs, trusted=trusted
    )
