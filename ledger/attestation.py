"""A signature on an entry: a document of the ledger that names whom it speaks for.

The signature is an object, a DSSE envelope around an in-toto statement, as supply-chain
tools read it. Being in the chain, it can't be taken away in silence.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ledger.facts import ObjectRef, Sha256
from specs.base import Value


class Attestation(Value):
    """One signature on one entry."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    """Version of this document."""
    kind: Literal["attestation"] = "attestation"
    name: str
    """Of the entry that it signs."""
    subject: Sha256
    """Digest of that entry."""
    key: Sha256
    """SHA-256 of the 32 bytes of the Ed25519 public key: the key's identifier."""
    envelope: ObjectRef
    """The DSSE envelope."""
