"""`codemix ledger verify`: recompute everything from the stored bytes, repair nothing.

Each check is a file of its own; all of them run, whatever the others find, so that one
pass names everything.

    log        lines, their chain, a head that was published    `verify_log`, `head`
    entries    bytes, schema, what they are about               `verify_entries`
    objects    bytes, traces, series                            `verify_objects`
    journals   checksums, the entry that they make              `verify_journals`
    signatures whose they are, and on what                      `verify_signatures`
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from ledger.evaluations import all_disagreements
from ledger.finding import Finding, Listen, silent
from ledger.head import Head, check_extends, head_of
from ledger.keys import PublicKey
from ledger.log import read_raw_lines
from ledger.store import Ledger
from ledger.verify_entries import check_entries, list_files
from ledger.verify_journals import check_journals
from ledger.verify_log import check_log
from ledger.verify_objects import check_objects
from ledger.verify_signatures import check_signatures


class Checked(NamedTuple):
    """What a check found."""

    num_entries: int
    num_objects: int
    """That entries refer to."""
    num_journals: int
    num_signatures: int
    head: Head
    problems: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What is worth knowing and is nothing wrong."""


def verify(
    ledger: Ledger,
    *,
    trusted: Mapping[str, PublicKey] | None = None,
    signatures_required: bool = False,
    since: Head | None = None,
    listen: Listen = silent,
) -> Checked:
    """Check every byte of a ledger and of the journals beside it.

    Args:
        ledger: Made without mending what a crash left: not by `Ledger.open`.
        trusted: Key id -> key, whose signatures count.
        signatures_required: Whether a run or a replay without one is wrong.
        since: A head that was published; the log must begin with all that it stands
            for.
        listen: Told how far it is.
    """
    with _nobody_appends(ledger):
        lines = read_raw_lines(ledger.folder)
        names = list_files(ledger.folder / "entries")
    log, findings = check_log(ledger, lines)
    if since is not None:
        findings = check_extends(ledger, lines, since) + findings
    entries = check_entries(ledger, names, log, listen)
    objects = check_objects(ledger.objects, entries.wants, listen)
    runs = ledger.folder.parent / "runs"
    journals = check_journals(runs, ledger, entries.known, listen)
    signatures = check_signatures(
        ledger, lines, entries.known, trusted or {}, are_required=signatures_required
    )
    return Checked(
        num_entries=len(log),
        num_objects=objects.num_referenced,
        num_journals=journals.count,
        num_signatures=entries.num_signatures,
        head=head_of(lines),
        problems=(
            *findings,
            *entries.findings,
            *objects.findings,
            *journals.findings,
            *signatures,
        ),
        notes=(*journals.notes, *map(str, all_disagreements(ledger))),
    )


@contextmanager
def _nobody_appends(ledger: Ledger) -> Iterator[None]:
    """Keep writers out for a moment: an entry and its line are two writes."""
    try:
        lock = os.open(ledger.folder / ".lock", os.O_RDONLY)
    except OSError:
        # A copy of a ledger has no writers.
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)
