"""Delivering evaluations to MLflow, each counted once, in the process that loads it."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.delivered import DeliveredEvaluations, delivered_path, load_delivered
from ledger.entry import Entry
from ledger.evaluation import Evaluation, StoredEvaluation
from ledger.mirror import ENTRY_TAG
from ledger.mirror_evaluations import (
    evaluation_files,
    evaluation_points,
    evaluation_tag,
)
from ledger.mlflow_index import MlflowIndex
from ledger.secrets import told_discreetly
from ledger.store import Ledger
from specs.atomic import write_atomically
from specs.errors import CodemixError

LOG = logging.getLogger("codemix.deliver")


class EvaluationsReport(NamedTuple):
    """What an MLflow store has got of the evaluations of a workspace."""

    waiting: int
    """That could not be brought."""
    problem: str | None


def deliver_evaluations(
    folder: Path,
    uri: str,
    ledger: Ledger,
    connect: Callable[[], MlflowIndex],
    *,
    anew: bool,
) -> EvaluationsReport:
    """Bring the evaluations that a store has not got yet.

    Args:
        folder: `.codemix` of the workspace.
        uri: Of the store.
        ledger: Of the workspace.
        connect: Opens the store; not called where nothing waits.
        anew: Ask the store what it has.
    """
    problem = None
    with _only_one(folder, uri):
        known = load_delivered(folder, uri).digests
        wanted = list(_evaluations(ledger, () if anew else known))
        waiting = len(wanted)
        for one in wanted:
            try:
                has_run = _deliver(connect(), ledger, one)
            # Whatever the store answers, the ledger has it, and it is tried again.
            except Exception as error:  # noqa: BLE001
                LOG.warning("can't deliver evaluation %s: %s", one.digest, error)
                problem = told_discreetly(error)
                if isinstance(error, CodemixError):
                    continue
                break
            waiting -= 1
            if has_run:
                known = tuple(dict.fromkeys((*known, one.digest)))
                state = DeliveredEvaluations(digests=known)
                write_atomically(delivered_path(folder, uri), state.to_bytes())
    return EvaluationsReport(waiting, problem)


def _evaluations(ledger: Ledger, known: Container[str]) -> Iterator[StoredEvaluation]:
    """Read the evaluations that are of a run; what can't be read is passed over."""
    for line in ledger.log():
        if line.kind != "evaluation" or line.digest in known:
            continue
        try:
            entry = ledger.read(line.digest)
        except CodemixError as error:
            LOG.warning("can't read %s: %s", line.digest, error)
            continue
        if isinstance(entry, Evaluation) and entry.subject is not None:
            yield StoredEvaluation(line.digest, entry)


def _deliver(index: MlflowIndex, ledger: Ledger, one: StoredEvaluation) -> bool:
    """Bring one evaluation; false if its run is not there yet, whole.

    It comes with the next delivery after its run, which waits by itself.
    """
    assert one.entry.subject is not None
    run = ledger.read(one.entry.subject)
    assert isinstance(run, Entry)
    run_id = index.find_run(run.name, run.recording)
    found = index.read_run(run_id) if run_id is not None else None
    if run_id is None or found is None or ENTRY_TAG not in found.tags:
        return False
    tag = evaluation_tag(one.digest)
    if found.tags.get(tag) != one.digest:
        index.log_metrics(run_id, evaluation_points(one.entry))
        data = ledger.read_bytes(one.digest)
        index.log_files(run_id, evaluation_files(one, data, ledger.objects))
        index.set_tags(run_id, {tag: one.digest})
    return True


@contextmanager
def _only_one(folder: Path, uri: str) -> Iterator[None]:
    """Let one process at a time deliver evaluations to a store."""
    folder.mkdir(parents=True, exist_ok=True)
    with delivered_path(folder, uri).with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
