"""The recorder of a replay: compares what happens with what an entry says happened.

Steps are compared while they happen. Unless a tolerance or the band of seeds was asked
for, the first one whose batch or weights differ stops the replay; another batch always
does. What was compared is counted, so that silence is never taken for a match.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from ledger.attainable import attainable, not_claimed
from ledger.audit import AuditFacts
from ledger.comparison import Comparison
from ledger.differences import Difference, compare_values, ranked
from ledger.documents import Stored, run_of
from ledger.entry import Times
from ledger.expected import Expected
from ledger.facts import JsonObject
from ledger.floats import float_text, float_texts
from ledger.grading import Evidence, Graded, grade
from ledger.parting import Parting
from ledger.recorder import (
    Outcome,
    RunFacts,
    StepRecord,
    TensorFacts,
)
from ledger.repeats import measure_band
from ledger.seed_band import SeedBand
from ledger.signing import append_signed, key_of_environment
from ledger.store import Ledger
from ledger.trace import Trace, TraceRecord, encode_trace
from ledger.verdict import Attainable, Verdict
from specs.errors import CheckFailed


class ReplayRecorder:
    """Compares a run with an entry; see `ledger.recorder.Recorder` for the calls.

    The calls between `begin` and `finish` raise `Diverged` at the first difference,
    but for metrics: as long as the weights are the same, those wait for the verdict.
    With a tolerance or a band, other weights, tensors and scores wait for it too.
    """

    def __init__(
        self,
        original: Stored,
        ledger: Ledger,
        *,
        tolerance: float | None = None,
        is_consistent: bool = False,
    ) -> None:
        """Read and check everything that the replay will be compared with.

        Args:
            original: The entry to replay.
            ledger: Holds the original and takes the verdict.
            tolerance: Relative distance that is allowed; null: none but zero.
            is_consistent: Whether the band of seeds may be fallen back on.

        Raises:
            CheckFailed: The original was changed since it was recorded.
            InputError: It is not a run, or part of it is missing.
        """
        self._original = run_of(original)
        self._stored, self._ledger = original, ledger
        self._sign_key = key_of_environment()
        self._expected = Expected(self._original, ledger.objects)
        self._is_consistent = is_consistent
        self._seen = Comparison(
            self._original, self._expected, tolerance, is_consistent
        )
        self._facts: RunFacts | None = None
        self._started_ms, self._started = 0, 0.0
        self._differences: tuple[Difference, ...] = ()
        self._stage = ""
        self._records: dict[str, list[TraceRecord]] = {}
        self._details: list[str] = []
        self._audit: AuditFacts | None = None
        self.digest: str | None = None
        """Digest of the verdict, once finished."""

    def differences(self, facts: RunFacts) -> tuple[Difference, ...]:
        """List how plan, data, code, machine and devices differ from the original's.

        May be called before `begin`: it says what to expect before hours are spent.
        """
        return self._expected.differences(facts)

    def attainable(self, facts: RunFacts) -> Attainable:
        """Say which grade is the best to hope for; may be called before `begin`."""
        return attainable(self._original, facts, self.differences(facts))

    @property
    def stopped(self) -> Parting | None:
        """The difference that ended the replay."""
        return self._seen.stopped

    def step_of_batch(self, fingerprint: str) -> int | None:
        """Return the first step of the original with that batch; null if none."""
        return self._expected.step_of_batch(fingerprint)

    def chosen(self, audit: AuditFacts) -> None:
        """Note that only these windows are replayed."""
        self._audit = audit

    def note(self, detail: str) -> None:
        """Add to the verdict what else was found out about the first difference."""
        self._details.append(detail)

    def damaged(self, step: int, problem: str) -> None:
        """Note that a checkpoint of the original can't be what its entry says.

        Raises:
            Diverged: Always.
        """
        was, now = "whole", f"not: {problem}"
        name = "of the checkpoint"
        self._seen.part(step, "tensors", was, now, name=name, is_fatal=True)

    def begin(self, facts: RunFacts) -> None:
        """Note what differs before the first step; that alone decides nothing."""
        self._facts = facts
        self._started_ms, self._started = _now_ms(), time.monotonic()
        self._differences = self.differences(facts)

    def stage_begin(self, name: str, step: int) -> None:
        """Compare where the stage starts."""
        stage = self._expected.stage(name)
        was = stage.start_step if stage else None
        self._seen.part(step, "stage", was, step, name=name, is_fatal=True)
        self._stage = name
        self._records[name] = []

    def step(self, record: StepRecord) -> None:
        """Compare batch, weights and metrics."""
        step = record.step
        self._records[self._stage].append(
            TraceRecord(step, record.batch, record.weights)
        )
        was = self._expected.trace(self._stage, step)
        if was is None:
            found = ("no such step", "one more")
            self._seen.part(step, "stage", *found, name=self._stage, is_fatal=True)
            return
        self._seen.batch(step, was[0], record.batch)
        if record.initial_words is not None:
            self._seen.initial(record.initial_words)
        metrics = self._expected.metrics(step)
        self._seen.weights(self._stage, record, was[1], metrics)
        if metrics is not None:
            self._seen.metrics(record, metrics)

    def scores(
        self,
        step: int,
        suite: str,
        values: Mapping[str, float],
        detail: JsonObject | None = None,
    ) -> None:
        """Compare scores; those that the original does not have say nothing."""
        self._seen.scores(step, suite, float_texts(values))

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        """Compare every tensor of a checkpoint that the original has too."""
        now = {name: tensor.to_json() for name, tensor in tensors.items()}
        self._seen.tensors(step, now)

    def artifact(self, name: str, path: Path) -> None:
        """Artifacts are not compared."""

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        """Compare where the stage ends, and the digest of its weights."""
        stage = self._expected.stage(name)
        if stage is None or stage.weights_digest is None:
            return
        self._seen.part(step, "stage", stage.stop_step, step, name=name, is_fatal=True)
        was = stage.weights_digest
        if self._seen.part(
            step, "stage", was, weights_digest, name=name, cause="checkpoint"
        ):
            self._seen.tally.once("stages", name)
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
        band = self._band(outcome)
        found = self._graded(outcome, band)
        first, deviations = self._seen.first, self._seen.deviations
        records = () if self._audit is not None else self._records.values()
        verdict = Verdict(
            name=original.name,
            original=self._stored.digest,
            grade=found.grade,
            what=found.what,
            first_step=found.first_step,
            channel=found.channel,
            compared=self._seen.tally.coverage(),
            determinism=original.determinism,
            differences=self._differences,
            code=facts.code,
            environment=facts.environment,
            devices=facts.devices,
            numerics=facts.numerics,
            canary=facts.canary,
            trace_heads=tuple(Trace(encode_trace(one)).head for one in records),
            outcome=outcome,
            times=self._times(),
            cause=first.cause if first is not None else None,
            first_bit_step=first.step if first is not None else None,
            tensors=first.tensors if first is not None else (),
            num_tensors=self._seen.num_tensors,
            details=tuple(self._details),
            attainable=self.attainable(facts),
            tolerance=deviations.told() if deviations is not None else None,
            band=band,
            audit=self._audit,
        )
        self.digest = append_signed(self._ledger, verdict, self._sign_key).digest
        return verdict

    def _graded(self, outcome: Outcome, band: SeedBand | None) -> Graded:
        return grade(
            Evidence(
                outcome=outcome,
                coverage=self._seen.tally.coverage(),
                first=self._seen.first,
                stopped=self._seen.stopped,
                not_claimed=not_claimed(self._original, self._differences),
                deviations=self._seen.deviations,
                num_metrics=self._seen.tally.count("metrics looked at"),
                num_scores=self._seen.tally.count("scores looked at"),
                band=band,
                audit=self._audit,
            )
        )

    def _band(self, outcome: Outcome) -> SeedBand | None:
        if not self._is_consistent or outcome.status != "completed":
            return None
        return measure_band(self._ledger, self._stored, self._seen.final)

    def _times(self) -> Times:
        return Times(
            started_unix_ms=self._started_ms,
            ended_unix_ms=_now_ms(),
            recorded_seconds=float_text(round(time.monotonic() - self._started, 3)),
        )


def _now_ms() -> int:
    return time.time_ns() // 10**6
