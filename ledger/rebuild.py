"""Filling an MLflow store that lacks runs, from journals and entries."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from ledger.deliver_run import deliver_entry
from ledger.entry import Entry
from ledger.mirror import ENTRY_TAG, entry_points, entry_tags, flat_params, run_name
from ledger.mlflow_index import MlflowIndex
from ledger.store import Ledger
from specs.errors import CodemixError

LOG = logging.getLogger("codemix.deliver")


class Rebuilt(NamedTuple):
    """What a store got that it lacked."""

    entries: tuple[str, ...]
    """Digests."""
    problems: tuple[str, ...]
    """Why there are entries that it did not get."""


def rebuild(
    ledger: Ledger, index: MlflowIndex, deliver_journals: Callable[[], object]
) -> Rebuilt:
    """Bring every entry that a store lacks.

    Args:
        ledger: Of the workspace.
        index: The store.
        deliver_journals: Brings what the journals of the workspace hold.
    """
    last = {
        stored.entry.recording: (stored.digest, stored.entry)
        for stored in ledger.entries()
        if isinstance(stored.entry, Entry)
    }
    lacking = [one for one in last.values() if not _has(index, *one)]
    deliver_journals()
    brought, problems = [], [str(problem) for problem in ledger.unknown.values()]
    for digest, entry in lacking:
        try:
            if not _has(index, digest, entry):
                _bring(index, ledger, digest, entry)
        except CodemixError as error:
            LOG.warning("can't bring %s: %s", digest, error)
            problems.append(f"entry {digest[:12]}: {error.problems[0].what}")
        else:
            brought.append(digest)
    return Rebuilt(tuple(brought), tuple(problems))


def _has(index: MlflowIndex, digest: str, entry: Entry) -> bool:
    """Whether a recording's run is there, with everything of an entry."""
    run_id = index.find_run(entry.name, entry.recording)
    found = index.read_run(run_id) if run_id is not None else None
    return found is not None and found.tags.get(ENTRY_TAG) == digest


def _bring(index: MlflowIndex, ledger: Ledger, digest: str, entry: Entry) -> None:
    name = run_name(entry.name, entry.recording)
    begun = (entry.name, name, entry_tags(entry))
    started_ms = entry.times.started_unix_ms
    run_id, is_new = index.open_run(*begun, started_ms=started_ms)
    if not is_new:
        # Half a run from a journal that is lost: its scores have other times than
        # the entry can give them, and would be there twice.
        index.drop_run(run_id)
        run_id, _ = index.open_run(*begun, started_ms=started_ms)
    index.log_params(run_id, flat_params(entry.spec))
    index.log_metrics(run_id, entry_points(entry, ledger.objects))
    deliver_entry(index, run_id, ledger, digest)
