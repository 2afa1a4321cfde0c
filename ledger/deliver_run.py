"""Delivering one journal to MLflow, batch by batch, each counted once."""

from __future__ import annotations

import logging
from itertools import chain
from pathlib import Path

from ledger.delivery import load_state, state_path
from ledger.entry import Entry, StageFacts
from ledger.history import KINDS, Event
from ledger.journal import Line, read_event, read_journal
from ledger.mirror import (
    ENTRY_TAG,
    STATUSES,
    MetricPoint,
    begin_tags,
    entry_files,
    entry_tags,
    flat_params,
    run_name,
    score_points,
    stage_points,
    step_points,
)
from ledger.mlflow_index import BATCH_METRICS, MlflowIndex, Refused
from ledger.reuse import runs_with
from ledger.store import Ledger
from specs.atomic import write_atomically

LOG = logging.getLogger("codemix.deliver")


class MadeTwice(Exception):
    """A run was made whose making had seemed to fail."""


class RunDelivery:
    """One journal on its way into one MLflow store."""

    def __init__(
        self, journal: Path, uri: str, index: MlflowIndex, ledger: Ledger
    ) -> None:
        """Find the MLflow run of the journal, or make it.

        If the store has lost the run, everything is delivered once more.
        """
        self.state = load_state(journal, uri)
        self._journal = journal
        self._state_path = state_path(journal, uri)
        self._index = index
        self._ledger = ledger
        self._begin = read_event(journal, 0)
        self._run_id, is_new = self._open()
        if is_new or self._run_id != self.state.run_id:
            if not is_new:
                # Brought there from its entry, which does not know the host.
                index.set_tags(self._run_id, begin_tags(self._begin))
            self._save(run_id=self._run_id, offset=0, refused=0, is_ended=False)
        self._last_ms: int = self._begin["unix_ms"]

    def _open(self) -> tuple[str, bool]:
        begin = self._begin
        return self._index.open_run(
            begin["name"],
            run_name(begin["name"], begin["recording"]),
            begin_tags(begin),
            started_ms=begin["unix_ms"],
        )

    def advance(self) -> bool:
        """Deliver the next batch; false if there is nothing to deliver.

        Raises:
            Exception: Whatever MLflow raises; nothing is lost, try again.
        """
        lines = self._next_lines()
        if not lines:
            return False
        refused = 0
        try:
            self._deliver(lines)
        except Refused as error:
            LOG.warning("refused: %s", error)
            refused = self._deliver_singly(lines)
        self._last_ms = lines[-1].event["unix_ms"]
        self._save(
            offset=lines[-1].stop,
            refused=self.state.refused + refused,
            is_ended=lines[-1].event["kind"] == "finish",
            problem=None,
        )
        return True

    def end_unfinished(self) -> None:
        """Tell MLflow how a run ended whose process is gone without a word."""
        digest = self._unsaid_entry()
        if digest is None:
            self._index.end_run(self._run_id, "KILLED", self._last_ms)
        else:
            deliver_entry(self._index, self._run_id, self._ledger, digest)
        self._save(is_ended=True, problem=None)

    def _unsaid_entry(self) -> str | None:
        """Return the entry that the process wrote just before it could say so."""
        said = {
            line.event["entry"]
            for line in read_journal(self._journal)
            if line.event["kind"] == "finish"
        }
        for digest, entry in runs_with(self._ledger, [self._begin["recording"]]):
            assert isinstance(entry, Entry)
            if entry.recording == self._begin["recording"]:
                return digest if digest not in said else None
        return None

    def _next_lines(self) -> list[Line]:
        """Numbers go together, everything else goes alone."""
        lines: list[Line] = []
        num_points = 0
        for line in read_journal(self._journal, self.state.offset):
            points = _points_of(line.event)
            if points is None:
                return lines or [line]
            lines.append(line)
            num_points += len(points)
            if num_points >= BATCH_METRICS:
                break
        return lines

    def _deliver(self, lines: list[Line]) -> None:
        points = [_points_of(line.event) for line in lines]
        if points[0] is None:
            self._deliver_event(lines[0].event)
        else:
            found = chain.from_iterable(filter(None, points))
            self._index.log_metrics(self._run_id, found)

    def _deliver_singly(self, lines: list[Line]) -> int:
        refused = 0
        for line in lines:
            try:
                self._deliver([line])
            except Refused as error:
                LOG.warning("refused at byte %d: %s", line.start, error)
                refused += 1
        return refused

    def _deliver_event(self, event: Event) -> None:
        kind = event["kind"]
        if kind == "begin":
            self._index.mark_running(self._run_id)
            self._index.log_params(self._run_id, flat_params(event["spec"]))
        elif kind == "stage_begin":
            self._index.set_tags(self._run_id, {"codemix.stage": event["name"]})
        elif kind == "stage_end":
            tag = f"codemix.weights.{event['name']}"
            self._index.set_tags(self._run_id, {tag: event["weights_digest"]})
        elif kind == "stage_reused":
            stage = StageFacts.model_validate(event["stage"])
            points = stage_points(stage, self._ledger.objects)
            self._index.log_metrics(self._run_id, points)
            for score in event["scores"]:
                told = score_points({**score, "unix_ms": event["unix_ms"]})
                self._index.log_metrics(self._run_id, told)
        elif kind == "finish":
            if self._open()[0] != self._run_id:
                raise MadeTwice("the run was there twice; all goes to the other one")
            deliver_entry(self._index, self._run_id, self._ledger, event["entry"])
        elif kind not in KINDS:
            raise Refused(f"another codemix wrote this {kind!r} event")

    def _save(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        write_atomically(self._state_path, self.state.to_bytes())


def deliver_entry(index: MlflowIndex, run_id: str, ledger: Ledger, digest: str) -> None:
    """Store an entry's files and tags, and how the run ended; the last tag seals it."""
    entry = ledger.read(digest)
    assert isinstance(entry, Entry)
    data = ledger.read_bytes(digest)
    index.log_files(run_id, entry_files(digest, entry, data, ledger.objects))
    index.set_tags(run_id, entry_tags(entry))
    status = STATUSES[entry.outcome.status]
    index.end_run(run_id, status, entry.times.ended_unix_ms)
    index.set_tags(run_id, {ENTRY_TAG: digest})


def _points_of(event: Event) -> list[MetricPoint] | None:
    """Numbers of a step or of scores; null for every other event."""
    if event["kind"] == "step":
        return step_points(event)
    if event["kind"] == "scores":
        return score_points(event)
    return None
