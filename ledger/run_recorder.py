"""The recorder that writes history: a journal while it happens, an entry at the end."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ledger.amendment import PrefixEnds, parent_of
from ledger.build_entry import build_entry, finish_event
from ledger.clock import JournalClock
from ledger.delivery import Delivery, DeliveryReport
from ledger.entry import Entry
from ledger.facts import JsonObject, ObjectRef
from ledger.floats import bare_floats, float_texts
from ledger.history import Event, History, check_known, read_history, recorded_step
from ledger.journal import Journal
from ledger.recorder import (
    Channel,
    Diverged,
    Outcome,
    RunFacts,
    StepRecord,
    TensorFacts,
)
from ledger.reuse import stage_to_take, take_over
from ledger.secrets import discreet
from ledger.signing import append_signed, key_of_environment
from ledger.store import Ledger
from specs.errors import InputError

_START_ANEW = (
    "find what changed on this machine since the run began; to give up what was "
    "trained so far, delete the run's folder"
)


class RunRecorder:
    """Records one run; see `ledger.recorder.Recorder` for the calls.

    The run's folder holds `journal.jsonl`. If it is there already, the run goes on:
    what is reported once more must be what was recorded.
    """

    def __init__(
        self, ledger: Ledger, folder: Path, *, delivery: Delivery | None = None
    ) -> None:
        """Prepare to record.

        Args:
            ledger: Takes the entry and everything it refers to.
            folder: Of the run, `<workspace>/.codemix/runs/<identity>`.
            delivery: Brings the journal to MLflow meanwhile; null: nobody does.

        Raises:
            InputError: The key that signs all runs can't be read.
        """
        self._ledger = ledger
        self._path = folder / "journal.jsonl"
        self._delivery = delivery
        self._journal: Journal | None = None
        self._history = History()
        self._clock = JournalClock()
        self._sign_key = key_of_environment()
        self._facts: RunFacts | None = None
        self.digest: str | None = None
        """Digest of the entry, once finished."""
        self.delivered: DeliveryReport | None = None
        """What MLflow has got, once finished with a delivery."""

    def begin(self, facts: RunFacts) -> None:
        """Open the journal; go on where an earlier process stopped."""
        journal = Journal(self._path)
        try:
            self._history = read_history(self._path)
            self._check_continues(facts)
            self._prefix = PrefixEnds(self._ledger, facts.experiment)
        except BaseException:
            journal.close()
            raise
        self._journal, self._facts = journal, facts
        self._clock = JournalClock(not_before_ms=self._history.last_ms)
        self._append("begin", **self._begin_fields(facts))
        journal.sync()
        if self._delivery is not None:
            self._delivery.start()

    def step(self, record: StepRecord) -> None:
        """Append one step, or compare it if it is recorded already."""
        history = self._history
        if record.step == history.next_step:
            self._append("step", **_step_fields(record))
        elif history.first_step <= record.step < history.next_step:
            recorded = recorded_step(history, self._path, record.step)
            _compare_step(recorded, _step_fields(record))
        else:
            raise _gap(self._path, history.next_step, record.step)

    def stage_begin(self, name: str, step: int) -> None:
        """Append the start of a stage, unless it is recorded already."""
        if self._history.stage(name) is None:
            unended = self._history.unended_stage
            assert unended is None, f"stage_begin {name} while {unended} goes on"
            self._append("stage_begin", name=name, step=step)

    def scores(
        self,
        step: int,
        suite: str,
        values: Mapping[str, float],
        detail: JsonObject | None = None,
    ) -> None:
        """Append scores, or compare them if they are recorded already."""
        texts = float_texts(values)
        recorded = self._history.scores.get((step, suite))
        if recorded is not None and recorded["values"] == texts:
            return
        if recorded is not None and self._history.is_exact:
            raise _inexact(step, "scores", recorded["values"], texts)
        ref = None if detail is None else self._put_json(detail).to_json()
        self._append("scores", step=step, suite=suite, values=texts, detail=ref)

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        """Append a checkpoint, or compare it if it is recorded already."""
        if self._delivery is not None:
            self._delivery.keep_up()
        facts = {name: tensor.to_json() for name, tensor in tensors.items()}
        ref = self._put_json(facts).to_json()
        recorded = self._history.checkpoints.get(step)
        if recorded is None:
            self._append("checkpoint", step=step, tensors=ref)
        elif recorded["tensors"] != ref:
            raise _inexact(step, "tensors", recorded["tensors"], ref)

    def artifact(self, name: str, path: Path) -> None:
        """Keep a file's bytes in the ledger and append its digest."""
        ref = self._ledger.objects.put(path.read_bytes()).to_json()
        recorded = self._history.artifacts.get(name)
        if recorded is None or recorded["content"] != ref:
            self._append("artifact", name=name, content=ref)

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        """Append the end of a stage, or compare it if it is recorded already."""
        fields = {"identity": identity, "weights_digest": weights_digest}
        span = self._history.stage(name)
        assert span is not None, "stage_end without stage_begin"
        self._prefix.check(name, step, weights_digest)
        if span.end is None:
            self._append("stage_end", name=name, step=step, **fields)
        elif fields != {key: span.end[key] for key in fields}:
            raise _inexact(step, "stage", span.end["weights_digest"], weights_digest)

    def stage_reused(self, name: str, entry: str, *, identity: str) -> None:
        """Append that a stage was taken over, unless it is recorded already."""
        assert self._facts is not None, "stage_reused without begin"
        if self._history.stage(name) is not None:
            return
        found = stage_to_take(self._ledger, entry, name, identity)
        taken = take_over(found, name, self._facts, self._ledger.objects)
        self._append(
            "stage_reused",
            name=name,
            entry=entry,
            start_step=taken.stage.start_step,
            stop_step=taken.stage.stop_step,
            stage=taken.stage.to_json(),
            checkpoint=taken.checkpoint.to_json(),
            scores=[score.to_json() for score in taken.scores],
        )

    def finish(self, outcome: Outcome) -> Entry:
        """Write the entry, close the journal, and give MLflow a moment to catch up."""
        assert self._journal is not None, "finish without begin"
        reason = outcome.reason and discreet(outcome.reason)
        outcome = outcome.model_copy(update={"reason": reason})
        self._journal.sync()
        ended_ms = self._clock.now_ms()
        entry = build_entry(self._history, self._path, self._ledger, outcome, ended_ms)
        self.digest = append_signed(self._ledger, entry, self._sign_key).digest
        # The same moment as in the entry: so the entry says every byte of this line.
        finish = finish_event(outcome, self.digest, ended_ms)
        self._history.apply(self._journal.append(finish))
        self._journal.close()
        if self._delivery is not None:
            self._delivery.keep_up()
            self.delivered = self._delivery.wait()
        return entry

    def close(self) -> None:
        """Let go of the journal without an entry, as a killed process would."""
        if self._journal is not None:
            self._journal.close()
        if self._delivery is not None:
            self._delivery.stop()

    def _append(self, kind: str, **fields: Any) -> None:
        assert self._journal is not None, f"{kind} without begin"
        event = {"kind": kind, "unix_ms": self._clock.now_ms(), **fields}
        self._history.apply(self._journal.append(event))

    def _put_json(self, value: Any) -> ObjectRef:
        return self._ledger.objects.put_json(value)

    def _check_continues(self, facts: RunFacts) -> None:
        history = self._history
        check_known(history, self._path)
        if history.begins and history.begins[0]["identity"] != facts.identity:
            raise InputError(
                f"this journal is of run {history.begins[0]['identity'][:16]}, "
                f"not of {facts.identity[:16]}",
                file=str(self._path),
                fix="move the folder away",
            )
        if (step := facts.resumed_from or 0) > history.next_step:
            raise _gap(self._path, history.next_step, step)

    def _begin_fields(self, facts: RunFacts) -> Event:
        begins, parent = self._history.begins, parent_of(facts)
        spec = facts.experiment.to_json()
        return {
            "recording": begins[0]["recording"] if begins else uuid.uuid4().hex,
            "identity": facts.identity,
            "name": facts.experiment.name,
            "resumed_from": facts.resumed_from,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "spec": spec,
            "spec_digest": facts.plan.spec_digest,
            "raw_spec": self._ledger.objects.put(facts.raw_spec.encode()).to_json(),
            "plan": self._put_json(facts.plan.to_json()).to_json(),
            "lock": self._put_json(facts.lock.to_json()).to_json(),
            "determinism": facts.plan.determinism,
            "code": facts.code.to_json(),
            "environment": facts.environment.to_json(),
            "devices": facts.devices,
            "numerics": facts.numerics,
            "canary": facts.canary,
            "parent": parent.to_json() if parent is not None else None,
            "tensor_names": list(facts.tensor_names),
        }


def _step_fields(record: StepRecord) -> Event:
    fields: Event = {
        "step": record.step,
        "batch": record.batch,
        "weights": record.weights,
    }
    if record.tensor_words is not None:
        fields["tensor_words"] = record.tensor_words
    if record.initial_words is not None:
        fields["initial_words"] = record.initial_words
    if record.metrics is not None:
        fields["metrics"] = bare_floats(record.metrics)
    if record.timings is not None:
        fields["timings"] = bare_floats(record.timings)
    return fields


def _compare_step(recorded: Event, now: Event) -> None:
    channels: tuple[Channel, ...] = ("batch", "weights", "metrics")
    for channel in channels:
        # As text: to Python 0.0 and -0.0 are equal.
        if _text(recorded.get(channel)) != _text(now.get(channel)):
            was = recorded.get(channel)
            raise _inexact(now["step"], channel, was, now.get(channel))


def _inexact(step: int, channel: Channel, was: object, now: object) -> Diverged:
    return Diverged(
        f"resume is not exact at step {step}: {channel} was {_shown(was)}, "
        f"is {_shown(now)}",
        step=step,
        channel=channel,
        fix=_START_ANEW,
    )


def _gap(path: Path, next_step: int, step: int) -> InputError:
    return InputError(
        f"the journal ends before step {next_step}, step {step} can't follow",
        file=str(path),
        fix=f"resume from a checkpoint of at most {next_step} steps, or delete the "
        "run's folder to start anew",
    )


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(value: object) -> str:
    text = _text(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
