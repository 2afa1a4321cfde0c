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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.delivery import (
    DELIVER_URI_VARIABLE,
    load_state,
    report,
    state_path,
)
from ledger.journal import is_being_written, read_journal
from ledger.secrets import discreet, told_discreetly
from ledger.store import Ledger
from specs.atomic import write_atomically

if TYPE_CHECKING:
    from ledger.deliver_evaluations import EvaluationsReport
    from ledger.mlflow_index import MlflowIndex
    from ledger.rebuild import Rebuilt

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
            failures = arrived = 0
            while failures < _LAST_TRIES or is_being_written(journal):
                try:
                    self._drain(journal)
                    return
                # Whatever the store answers, the journal stays and is tried again.
                except Exception as error:  # noqa: BLE001
                    self._note(journal, error)
                offset = load_state(journal, self._uri).offset
                failures = failures + 1 if offset == arrived else 1
                arrived = offset
                time.sleep(min(2.0 ** min(failures, 9) / 4, _LONGEST_PAUSE_SECONDS))

    def sync(self, *, anew: bool = False) -> list[dict[str, Any]]:
        """Deliver what waits in every journal that no other process delivers.

        Args:
            anew: Ask the store what it has of every journal.
        """
        reports = []
        for journal in sorted(self._folder.glob("runs/*/journal.jsonl")):
            try:
                self._sync_one(journal, anew=anew)
            except Exception as error:  # noqa: BLE001
                self._note(journal, error)
            found = report(journal, self._uri)
            reports.append({"run": journal.parent.name, **found._asdict()})
        return reports

    def evaluations(self, *, anew: bool = False) -> EvaluationsReport:
        """Deliver the evaluations that wait; their runs come first.

        Args:
            anew: Ask the store what it has.
        """
        from ledger.deliver_evaluations import deliver_evaluations

        place = (self._folder, self._uri, self._ledger)
        return deliver_evaluations(*place, self._connect, anew=anew)

    def _sync_one(self, journal: Path, *, anew: bool) -> None:
        with _only_courier(journal, self._uri, wait=False) as is_ours:
            if not is_ours or is_being_written(journal):
                return
            is_empty = next(read_journal(journal), None) is None
            is_ended = load_state(journal, self._uri).is_ended
            is_left = anew or not is_ended or report(journal, self._uri).waiting > 0
            if is_left and not is_empty:
                self._drain(journal)

    def rebuild(self) -> Rebuilt:
        """Bring every entry that the store lacks, by its journal if there is one.

        A journal says more than its entry: when scores were taken.
        """
        from ledger.rebuild import rebuild

        return rebuild(self._ledger, self._connect(), lambda: self.sync(anew=True))

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
                delivery.end_unfinished()
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
        state = load_state(journal, self._uri)
        state = state.model_copy(update={"problem": told_discreetly(error)})
        # On a full disk there is nothing to note it on, and that is no reason to stop.
        with suppress(OSError):
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
    result: dict[str, Any] = {"uri": discreet(uri)}
    try:
        courier = Courier(options.workspace, uri)
        if options.journal:
            courier.follow(options.journal)
        if options.rebuild:
            result |= courier.rebuild()._asdict()
        # After following too: runs whose processes all died are then put right.
        result["runs"] = courier.sync()
        told = courier.evaluations(anew=options.rebuild)
        result["evaluations"] = told._asdict()
    except Exception as error:
        LOG.exception("stopped")
        result["problem"] = told_discreetly(error)
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if "problem" in result else 0


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
