"""Signed envelopes as DSSE 1.0 writes them, which supply-chain tools read.

Signed are not the bytes of a document but their "pre-authentication encoding", which
names their type: so a signature on one kind of document is none on another. See
https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
"""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from specs.canonical import canonical_json


class Envelope(NamedTuple):
    """One payload and one signature on it."""

    payload: bytes
    payload_type: str
    keyid: str
    signature: bytes


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed.

    >>> pre_authentication("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode_envelope(envelope: Envelope) -> bytes:
    """Write an envelope as canonical JSON."""
    signature = {
        "keyid": envelope.keyid,
        "sig": base64.b64encode(envelope.signature).decode(),
    }
    return canonical_json(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [signature],
        }
    )


def decode_envelope(data: bytes) -> Envelope:
    """Read an envelope with one signature.

    Raises:
        ValueError: It is none.
    """
    try:
        value: Any = json.loads(data)
        [signature] = value["signatures"]
        return Envelope(
            base64.b64decode(value["payload"], validate=True),
            str(value["payloadType"]),
            str(signature["keyid"]),
            base64.b64decode(signature["sig"], validate=True),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is no DSSE envelope with one signature") from error
