"""The recorder of a replay: compares what happens with what an entry says happened.

Steps are compared while they happen: the first one whose batch or weights differ stops
the replay. What was compared is counted, so that silence is never taken for a match.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ledger.differences import Difference, compare_values, ranked
from ledger.documents import Stored, run_of
from ledger.entry import Times
from ledger.expected import Expected
from ledger.facts import JsonObject
from ledger.floats import float_text, float_texts
from ledger.recorder import (
    Channel,
    Diverged,
    Outcome,
    RunFacts,
    StepRecord,
    TensorFacts,
)
from ledger.series import SeriesDifference, first_point_difference
from ledger.signing import append_signed, key_of_environment
from ledger.store import Ledger
from ledger.trace import Trace, TraceRecord, encode_trace
from ledger.verdict import Compared, Coverage, Grade, Verdict
from specs.errors import CheckFailed


class ReplayRecorder:
    """Compares a run with an entry; see `ledger.recorder.Recorder` for the calls.

    The calls between `begin` and `finish` raise `Diverged` at the first difference,
    but for metrics: as long as the weights are the same, those wait for the verdict.
    """

    def __init__(self, original: Stored, ledger: Ledger) -> None:
        """Read and check everything that the replay will be compared with.

        Args:
            original: The entry to replay.
            ledger: Holds the original and takes the verdict.

        Raises:
            CheckFailed: The original was changed since it was recorded.
            InputError: It is not a run, or part of it is missing.
        """
        entry = run_of(original)
        self._ledger = ledger
        self._sign_key = key_of_environment()
        self._original_digest = original.digest
        self._original = entry
        self._expected = Expected(entry, ledger.objects)
        self._facts: RunFacts | None = None
        self._started_ms, self._started = 0, 0.0
        self._differences: tuple[Difference, ...] = ()
        self._stage = ""
        self._records: dict[str, list[TraceRecord]] = {}
        self._next_step = 0
        self._same: Counter[str] = Counter()
        self._seen: set[object] = set()
        self._diverged: Diverged | None = None
        self._metric: SeriesDifference | None = None
        self.digest: str | None = None
        """Digest of the verdict, once finished."""

    def differences(self, facts: RunFacts) -> tuple[Difference, ...]:
        """List how plan, data, code, machine and devices differ from the original's.

        May be called before `begin`: it says what to expect before hours are spent.
        """
        return self._expected.differences(facts)

    def begin(self, facts: RunFacts) -> None:
        """Note what differs before the first step; that alone decides nothing."""
        self._facts = facts
        self._started_ms, self._started = _now_ms(), time.monotonic()
        self._differences = self.differences(facts)

    def stage_begin(self, name: str, step: int) -> None:
        """Compare where the stage starts."""
        stage = self._expected.stage(name)
        was = stage.start_step if stage else None
        self._compare(step, "stage", was, step, name=name)
        self._stage = name
        self._records[name] = []

    def step(self, record: StepRecord) -> None:
        """Compare batch and weights, and note whether the metrics are the same."""
        step = record.step
        self._records[self._stage].append(
            TraceRecord(step, record.batch, record.weights)
        )
        was = self._expected.trace(self._stage, step)
        if was is None:
            self._compare(step, "stage", "no such step", "one more", name=self._stage)
            return
        self._compare(step, "batch", was[0], record.batch)
        self._compare(step, "weights", was[1], record.weights)
        # Only steps without a gap count: those before it were not looked at.
        if step == self._next_step:
            self._next_step += 1
            self._note_metrics(record)

    def scores(
        self,
        step: int,
        suite: str,
        values: Mapping[str, float],
        detail: JsonObject | None = None,
    ) -> None:
        """Compare scores; those that the original does not have say nothing."""
        if step == 0:
            return
        was = self._expected.scores.get((step, suite))
        if was is not None:
            self._compare(step, "scores", was, float_texts(values), name=suite)
            self._count("scores", step, suite)

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        """Compare every tensor of a checkpoint that the original has too."""
        recorded = self._expected.tensors(step)
        if recorded is None:
            return
        now = {name: tensor.to_json() for name, tensor in tensors.items()}
        for name in sorted({*recorded, *now}):
            was = recorded.get(name)
            self._compare(step, "tensors", was, now.get(name), name=name)
            if step == self._original.num_steps:
                self._count("tensors", name)

    def artifact(self, name: str, path: Path) -> None:
        """Artifacts are not compared."""

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        """Compare where the stage ends, and the digest of its weights."""
        stage = self._expected.stage(name)
        if stage is None or stage.weights_digest is None:
            return
        self._compare(step, "stage", stage.stop_step, step, name=name)
        self._compare(step, "stage", stage.weights_digest, weights_digest, name=name)
        self._count("stages", name)
        # Other inputs that gave the same weights: worth knowing, no divergence.
        found = compare_values(f"stages.{name}.identity", stage.identity, identity)
        self._differences = ranked([*self._differences, *found])

    def stage_reused(self, name: str, entry: str, *, identity: str) -> None:
        """Refuse: a replay that takes a result over has compared nothing.

        Raises:
            CheckFailed: Always.
        """
        raise CheckFailed(
            f"stage {name} was taken over from entry {entry[:12]} in a replay",
            fix="train every stage of a replay",
        )

    def finish(self, outcome: Outcome) -> Verdict:
        """Give the verdict and append it to the ledger."""
        assert self._facts is not None, "finish without begin"
        facts, original = self._facts, self._original
        grade, what, first_step, channel = self._finding(outcome)
        verdict = Verdict(
            name=original.name,
            original=self._original_digest,
            grade=grade,
            what=what,
            first_step=first_step,
            channel=channel,
            compared=self._compared(),
            determinism=original.determinism,
            differences=self._differences,
            code=facts.code,
            environment=facts.environment,
            devices=facts.devices,
            numerics=facts.numerics,
            canary=facts.canary,
            trace_heads=tuple(
                Trace(encode_trace(records)).head for records in self._records.values()
            ),
            outcome=outcome,
            times=self._times(),
        )
        self.digest = append_signed(self._ledger, verdict, self._sign_key).digest
        return verdict

    def _note_metrics(self, record: StepRecord) -> None:
        was = self._expected.metrics(record.step)
        if was is None:
            return
        now = float_texts(record.metrics or {})
        difference = first_point_difference(was, now, step=record.step)
        if difference is None:
            self._same["metrics"] += 1
        elif self._metric is None:
            self._metric = difference

    def _compared(self) -> Coverage:
        stages = self._original.stages
        totals = {
            "steps": sum(stage.stop_step - stage.start_step for stage in stages),
            "metrics": self._expected.num_metrics,
            "stages": sum(stage.weights_digest is not None for stage in stages),
            "tensors": len(self._expected.final_tensors or ()),
            "scores": len(self._expected.scores),
        }
        same = {**self._same, "steps": self._next_step}
        return Coverage(
            **{
                name: Compared(same=same.get(name, 0), total=total)
                for name, total in totals.items()
            }
        )

    def _times(self) -> Times:
        return Times(
            started_unix_ms=self._started_ms,
            ended_unix_ms=_now_ms(),
            recorded_seconds=float_text(round(time.monotonic() - self._started, 3)),
        )

    def _finding(
        self, outcome: Outcome
    ) -> tuple[Grade, str, int | None, Channel | None]:
        """Grade what was seen: nothing but everything compared is exact."""
        found = self._diverged
        if found is not None:
            return "DIVERGED", found.problems[0].what, found.step, found.channel
        metric = self._metric
        if metric is not None:
            what = (
                f"the weights are the same at every step, but {metric.name} of step "
                f"{metric.step} was {metric.was}, is {metric.now}"
            )
            return "DIVERGED", what, metric.step, "metrics"
        if outcome.status != "completed":
            reason = outcome.reason or outcome.status
            return "INCOMPLETE", f"the replay did not end: {reason}", None, None
        for name, compared in self._compared():
            if not compared.is_complete or (name == "tensors" and not compared.total):
                what = (
                    f"not everything was compared: {compared.same} of "
                    f"{compared.total} {name}"
                )
                return "INCOMPLETE", what, None, None
        return "EXACT", "every step, tensor and score is the same", None, None

    def _compare(
        self, step: int, channel: Channel, was: object, now: object, name: str = ""
    ) -> None:
        if was == now:
            return
        self._diverged = Diverged(
            f"diverged at step {step}: {_where(channel, name)} was {was}, is {now}",
            step=step,
            channel=channel,
            fix=_FIXES.get(channel, _FIXES["weights"]),
        )
        raise self._diverged

    def _count(self, kind: str, *key: object) -> None:
        if (kind, *key) not in self._seen:
            self._seen.add((kind, *key))
            self._same[kind] += 1


_FIXES: dict[Channel, str] = {
    "batch": "the data or its order differs: compare the lock and the plan first",
    "weights": "the same batch gave other weights: compare the code, jaxlib, the "
    "processor's features and XLA_FLAGS first",
}


def _where(channel: Channel, name: str) -> str:
    return f"{channel} {name}" if name else channel


def _now_ms() -> int:
    return time.time_ns() // 10**6
