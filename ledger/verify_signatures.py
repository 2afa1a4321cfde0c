"""Checking the signatures: each is of a trusted key, on this entry, in this place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from ledger.attestation import Attestation
from ledger.finding import Finding
from ledger.keys import TRUSTED_FILE, PublicKey
from ledger.signing import signature_problem
from ledger.statement import outputs_of
from ledger.store import Ledger
from ledger.verify_entries import Known
from specs.errors import CodemixError

SIGNED_KINDS = ("run", "replay", "evaluation")
"""Documents that claim a result."""


def check_signatures(
    ledger: Ledger,
    lines: Sequence[bytes],
    known: Mapping[str, Known],
    trusted: Mapping[str, PublicKey],
    *,
    are_required: bool,
) -> Iterator[Finding]:
    """Check every signature, and that there is one where one is required.

    Args:
        ledger: Holds them.
        lines: Of the log.
        known: Digest -> what is known of each whole document.
        trusted: Key id -> key.
        are_required: Whether a run, a replay or an evaluation without a good signature
            is wrong.
    """
    good = set()
    for digest, one in known.items():
        if one.attestation is None:
            continue
        what = _problem(ledger, lines, known, one.attestation, trusted)
        if what is None:
            good.add(one.attestation.subject)
            continue
        signed = one.attestation.subject[:12]
        yield Finding(
            kind="signature",
            what=f"the signature on entry {signed} proves nothing: {what}",
            file=str(ledger.entry_path(digest)),
            fix=f"if the key is to be trusted, add it to {TRUSTED_FILE}: "
            "codemix ledger key --trust LINE"
            if "not trusted" in what
            else None,
        )
    for digest, one in known.items() if are_required else ():
        if one.kind in SIGNED_KINDS and digest not in good:
            yield Finding(
                kind="signature",
                what=f"{one.kind} {digest[:12]} has no good signature",
                file=str(ledger.entry_path(digest)),
                fix=f"codemix ledger sign {digest[:12]}",
            )


def _problem(
    ledger: Ledger,
    lines: Sequence[bytes],
    known: Mapping[str, Known],
    document: Attestation,
    trusted: Mapping[str, PublicKey],
) -> str | None:
    subject = known.get(document.subject)
    if subject is None:
        return "the ledger does not hold that entry whole"
    try:
        data = ledger.objects.get(document.envelope)
    except CodemixError as error:
        return error.problems[0].what
    made = subject.entry or subject.evaluation
    return signature_problem(
        document,
        data,
        link=hashlib.sha256(lines[subject.line - 1]).hexdigest(),
        outputs=dict(outputs_of(made)) if made is not None else {},
        trusted=trusted,
    )
