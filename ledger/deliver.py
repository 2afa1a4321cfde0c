"""The process that brings journals and entries to MLflow.

    python -m ledger.deliver --workspace DIR --journal FILE   follow one run
    python -m ledger.deliver --workspace DIR --sync           deliver what waits
    python -m ledger.deliver --workspace DIR --rebuild        anew, from the entries
    python -m ledger.deliver --workspace DIR --check          compare, change nothing

It may be killed at any moment: how far it got is written after each batch, and a batch
that is delivered twice counts once. The address of the store comes by an environment
variable, see `ledger.delivery`.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.delivery import (
    DELIVER_URI_VARIABLE,
    load_state,
    report,
    state_path,
)
from ledger.entry import Entry
from ledger.journal import is_being_written
from ledger.mirror import entry_points, entry_tags, flat_params, run_name
from ledger.secrets import discreet
from ledger.store import Ledger
from specs.atomic import write_atomically

if TYPE_CHECKING:
    from ledger.mlflow_index import MlflowIndex

LOG = logging.getLogger("codemix.deliver")

_POLL_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LAST_TRIES = 6


class Courier:
    """Everything that goes from one workspace to one MLflow store."""

    def __init__(self, workspace: Path, uri: str) -> None:
        self._folder = workspace / ".codemix"
        self._uri = uri
        self._ledger = Ledger.open(workspace)
        self._index: MlflowIndex | None = None

    def follow(self, journal: Path) -> None:
        """Deliver a journal while it grows, until its run is over."""
        with _only_courier(journal, self._uri, wait=True):
            failures = 0
            while failures < _LAST_TRIES or is_being_written(journal):
                try:
                    self._drain(journal)
                    return
                # Whatever the store answers, the journal stays and is tried again.
                except Exception as error:  # noqa: BLE001
                    failures += 1
                    self._note(journal, error)
                    time.sleep(min(2.0**failures / 4, _LONGEST_PAUSE_SECONDS))

    def sync(self) -> list[dict[str, Any]]:
        """Deliver what waits in every journal that no other process delivers."""
        reports = []
        for journal in sorted(self._folder.glob("runs/*/journal.jsonl")):
            with _only_courier(journal, self._uri, wait=False) as is_ours:
                if is_ours and self._is_left(journal):
                    try:
                        self._drain(journal)
                    except Exception as error:  # noqa: BLE001
                        self._note(journal, error)
            found = report(journal, self._uri)
            reports.append({"run": journal.parent.name, **found._asdict()})
        return reports

    def _is_left(self, journal: Path) -> bool:
        """Whether nobody records the run and the store does not know all of it."""
        if is_being_written(journal):
            return False
        is_ended = load_state(journal, self._uri).is_ended
        return not is_ended or report(journal, self._uri).waiting > 0

    def rebuild(self) -> list[str]:
        """Bring every entry that the store lacks; return their digests."""
        last = {
            stored.entry.recording: stored
            for stored in self._ledger.entries()
            if isinstance(stored.entry, Entry)
        }
        return [
            stored.digest
            for stored in last.values()
            if isinstance(stored.entry, Entry)
            and self._bring(stored.digest, stored.entry)
        ]

    def _bring(self, digest: str, entry: Entry) -> bool:
        from ledger.deliver_run import deliver_entry

        index = self._connect()
        if index.has_entry(entry.name, entry.recording, digest):
            return False
        run_id, _ = index.open_run(
            entry.name,
            run_name(entry.name, entry.recording),
            entry_tags(entry),
            started_ms=entry.times.started_unix_ms,
        )
        index.log_params(run_id, flat_params(entry.spec))
        index.log_metrics(run_id, entry_points(entry, self._ledger.objects))
        deliver_entry(index, run_id, self._ledger, digest)
        return True

    def _drain(self, journal: Path) -> None:
        from ledger.deliver_run import RunDelivery

        delivery = RunDelivery(journal, self._uri, self._connect(), self._ledger)
        while True:
            # Asked before reading: lines written in between are still seen.
            is_live = is_being_written(journal)
            if delivery.advance():
                continue
            if delivery.state.is_ended:
                return
            if not is_live:
                delivery.mark_killed()
                return
            time.sleep(_POLL_SECONDS)

    def _connect(self) -> MlflowIndex:
        if self._index is None:
            from ledger.mlflow_index import MlflowIndex

            artifacts = self._folder / "mlartifacts"
            self._index = MlflowIndex(self._uri, artifacts=artifacts)
        return self._index

    def _note(self, journal: Path, error: Exception) -> None:
        LOG.warning("can't deliver %s: %s", journal.parent.name, error)
        first_line = discreet(str(error).partition("\n")[0])
        state = load_state(journal, self._uri)
        state = state.model_copy(update={"problem": first_line or repr(error)})
        write_atomically(state_path(journal, self._uri), state.to_bytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; print one JSON object."""
    parser = argparse.ArgumentParser(prog="ledger.deliver")
    parser.add_argument("--workspace", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--journal", type=Path)
    what.add_argument("--sync", action="store_true")
    what.add_argument("--rebuild", action="store_true")
    what.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    uri = os.environ[DELIVER_URI_VARIABLE]
    _log_to_file(options.journal or options.workspace / ".codemix" / "sync")
    # Training comes first, also where cores are few.
    os.nice(19)
    if options.check:
        return _check(options.workspace, uri)
    courier = Courier(options.workspace, uri)
    result: dict[str, Any] = {"uri": discreet(uri)}
    if options.journal:
        courier.follow(options.journal)
    if options.rebuild:
        result["entries"] = courier.rebuild()
    # After following too: runs whose processes all died are then put right.
    result["runs"] = courier.sync()
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _check(workspace: Path, uri: str) -> int:
    """Print how far it is, an object a line, and at last what was found."""
    from ledger.mirror_check import check_store

    def tell(value: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()

    found = check_store(
        workspace, uri, lambda done, total: tell({"done": done, "total": total})
    )
    tell({"found": found})
    return 0


@contextmanager
def _only_courier(journal: Path, uri: str, *, wait: bool) -> Iterator[bool]:
    """Hold the right to deliver a journal to a store; false if another one has it."""
    path = state_path(journal, uri).with_suffix(".lock")
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


class _DiscreetFormatter(logging.Formatter):
    """Writes no secret, whoever logs an address."""

    def format(self, record: logging.LogRecord) -> str:
        return discreet(super().format(record))


def _log_to_file(beside: Path) -> None:
    beside.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(beside.with_name("delivery.log"))
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(_DiscreetFormatter(layout))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    raise SystemExit(main())
