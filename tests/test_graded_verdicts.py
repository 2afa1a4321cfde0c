"""No grade is better than its evidence: tolerance, band of seeds, claims."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import facts, hex_of, play
from worded_runs import NAMES, Numbers, Worded, record_run, replay_of, run_facts

from ledger.deviation import relative_distance
from ledger.documents import read_document
from ledger.floats import float_text
from ledger.recorder import Outcome
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.seed_band import band_of
from ledger.store import Ledger
from ledger.student import student_quantile
from ledger.verdict import Verdict
from ledger.verify import verify

SLIGHTLY = 1 + 1e-7


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path)


@pytest.fixture
def original(ledger: Ledger, tmp_path: Path) -> str:
    """A run with words of tensors."""
    return record_run(ledger, tmp_path / "runs" / "a")


def seeds(ledger: Ledger, tmp_path: Path, factors: list[float]) -> None:
    """Record repeats with other seeds, whose numbers are off by these factors."""
    for seed, factor in enumerate(factors):
        change = Numbers(factor, since=0)
        record_run(ledger, tmp_path / "runs" / f"s{seed}", change, seed=100 + seed)


def test_the_same_bits_are_exact_whatever_was_asked_for(ledger, original) -> None:
    verdict = replay_of(ledger, original, Worded(), tolerance=0.1, is_consistent=True)
    assert (verdict.grade, verdict.first_bit_step, verdict.cause) == (
        "EXACT", None, None
    )  # fmt: skip
    assert verdict.compared.initial is not None
    assert verdict.compared.initial.same == len(NAMES)


def test_within_the_tolerance_is_equivalent_and_says_how_far(ledger, original) -> None:
    verdict = replay_of(ledger, original, Numbers(SLIGHTLY), tolerance=1e-6)
    assert verdict.grade == "EQUIVALENT"
    assert verdict.first_step is None
    assert (verdict.first_bit_step, verdict.tensors) == (4, ("embed",))
    tolerance = verdict.tolerance
    assert tolerance is not None
    assert tolerance.relative == "1e-06"
    assert tolerance.furthest is not None
    assert float(tolerance.furthest.distance) == pytest.approx(1e-7, rel=1e-6)
    assert "first other bit at step 4 (weights)" in verdict.what
    assert verdict.compared.steps.same == 4
    assert verdict.compared.batches is not None
    assert verdict.compared.batches.is_complete


def test_beyond_the_tolerance_is_diverged_where_it_is_left(ledger, original) -> None:
    verdict = replay_of(ledger, original, Numbers(1.01, since=4), tolerance=1e-3)
    assert (verdict.grade, verdict.first_step, verdict.channel) == (
        "DIVERGED", 4, "metrics"
    )  # fmt: skip
    assert "loss of step 4" in verdict.what
    assert "0.001 is allowed" in verdict.what


def test_without_a_tolerance_the_replay_stops_at_once(ledger, original) -> None:
    verdict = replay_of(ledger, original, Numbers(SLIGHTLY))
    assert (verdict.grade, verdict.first_step) == ("DIVERGED", 4)
    assert verdict.compared.batches is not None
    assert verdict.compared.batches.same == 5


def test_no_tolerance_allows_another_batch(ledger, original) -> None:
    class OtherBatch(Numbers):
        def changed(self, record):
            if record.step != 6:
                return record
            return record.model_copy(update={"batch": "0" * 32})

    how = {"tolerance": 1e9, "is_consistent": True}
    verdict = replay_of(ledger, original, OtherBatch(SLIGHTLY), **how)
    assert (verdict.grade, verdict.first_step, verdict.channel) == (
        "DIVERGED", 6, "batch"
    )  # fmt: skip
    assert verdict.first_bit_step == 4


def test_no_tolerance_allows_another_beginning(ledger, original) -> None:
    change = Numbers(SLIGHTLY, since=0, initial=("output",))
    verdict = replay_of(ledger, original, change, tolerance=1e9)
    assert (verdict.grade, verdict.first_step) == ("DIVERGED", 0)
    assert (verdict.cause, verdict.tensors) == ("initialisation", ("output",))
    assert verdict.compared.batches is not None
    assert verdict.compared.batches.same == 1


def test_an_original_without_initial_words_is_never_equivalent(
    ledger, tmp_path
) -> None:
    recorder = RunRecorder(ledger, tmp_path / "runs" / "old")
    play(recorder)
    assert recorder.digest is not None
    how = {"told": facts(), "tolerance": 1e-3}

    def slightly(kind, step, value):
        if kind != "step" or step < 4:
            return value
        return value.model_copy(update={"weights": "0" * 32})

    verdict = replay_of(ledger, recorder.digest, slightly, **how)
    assert verdict.grade == "INCOMPLETE"
    assert "does not record its initial weights" in verdict.what
    assert verdict.num_tensors is None


@pytest.mark.parametrize("dropped", ["scores", "metrics"])
def test_what_was_not_reported_is_within_no_tolerance(
    ledger, original, dropped
) -> None:
    class Dropped(Numbers):
        def changed(self, record):
            record = super().changed(record)
            if dropped != "metrics" or record.step != 6:
                return record
            return record.model_copy(update={"metrics": None})

    recorder = ReplayRecorder(ledger.find(original), ledger, tolerance=1e-3)
    if dropped == "scores":
        recorder.scores = lambda *args, **kwargs: None  # type: ignore[method-assign]
    verdict = play(recorder, change=Dropped(SLIGHTLY), run_facts=run_facts())
    assert verdict.grade == ("INCOMPLETE" if dropped == "scores" else "DIVERGED")


def test_a_replay_that_does_not_end_is_incomplete_even_within_a_tolerance(
    ledger, original
) -> None:
    recorder = ReplayRecorder(ledger.find(original), ledger, tolerance=1e-3)
    outcome = Outcome(status="interrupted", reason="stopped")
    change = Numbers(SLIGHTLY)
    verdict = play(recorder, change=change, run_facts=run_facts(), outcome=outcome)
    assert verdict.grade == "INCOMPLETE"


def test_inside_the_band_of_seeds_is_consistent_and_says_how_wide(
    ledger, original, tmp_path
) -> None:
    seeds(ledger, tmp_path, [0.98, 1.0, 1.02, 1.01])
    verdict = replay_of(ledger, original, Numbers(1.005), is_consistent=True)
    assert verdict.grade == "CONSISTENT"
    band = verdict.band
    assert band is not None
    assert len(band.repeats) == 4
    assert original not in band.repeats
    assert {one.name for one in band.quantities} == {
        "loss", "heldout text.bits_per_byte"
    }  # fmt: skip
    assert all(one.is_inside for one in band.quantities)
    assert "of 4 repeats with other seeds (alpha 0.05)" in verdict.what
    assert "spans" in verdict.what


def test_outside_the_band_is_diverged(ledger, original, tmp_path) -> None:
    seeds(ledger, tmp_path, [0.98, 1.0, 1.02, 1.01])
    verdict = replay_of(ledger, original, Numbers(1.5), is_consistent=True)
    assert (verdict.grade, verdict.first_step) == ("DIVERGED", 4)
    assert "outside of" in verdict.what


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_repeats_say_nothing(ledger, original, tmp_path, count) -> None:
    seeds(ledger, tmp_path, [0.9, 1.1][:count])
    verdict = replay_of(ledger, original, Numbers(SLIGHTLY), is_consistent=True)
    assert verdict.grade == "INCOMPLETE"
    assert f"{count} completed runs differ in their seed alone" in verdict.what


def test_only_runs_that_differ_in_the_seed_alone_are_repeats(
    ledger, original, tmp_path
) -> None:
    seeds(ledger, tmp_path, [0.98, 1.02, 1.01])
    other = run_facts().experiment.to_json()["optimizer"]
    faster = {"optimizer": {**other, "weight_decay": 0.3}}
    runs = tmp_path / "runs"
    for name, fields in {
        "same seed": {"spec": {"name": "again"}},
        "seed of another": {"seed": 100, "spec": {"tags": ["x"]}},
        "another optimizer": {"seed": 200, "spec": faster},
    }.items():
        record_run(ledger, runs / name, Numbers(9.0, since=0), **fields)
    verdict = replay_of(ledger, original, Numbers(1.005), is_consistent=True)
    assert verdict.band is not None
    assert len(verdict.band.repeats) == 3
    assert verdict.grade == "CONSISTENT"


def test_a_run_that_did_not_end_is_no_repeat(ledger, original, tmp_path) -> None:
    seeds(ledger, tmp_path, [0.98, 1.02])
    recorder = RunRecorder(ledger, tmp_path / "runs" / "cut")
    outcome = Outcome(status="interrupted")
    told = run_facts(seed=300)
    play(recorder, change=Worded(), run_facts=told, outcome=outcome)
    verdict = replay_of(ledger, original, Numbers(1.0001), is_consistent=True)
    assert verdict.grade == "INCOMPLETE"


@pytest.mark.parametrize(
    ("determinism", "devices", "grade"),
    [
        ("fast", 2, "EQUIVALENT"),
        ("same-topology", 2, "EXACT"),
        ("same-topology", 4, "EQUIVALENT"),
        ("exact", 4, "EXACT"),
    ],
)
def test_equal_bits_are_worth_no_more_than_was_claimed(
    ledger, tmp_path, determinism, devices, grade
) -> None:
    spec = {"determinism": determinism}
    digest = record_run(ledger, tmp_path / "runs" / "b", spec=spec)
    now = run_facts(spec=spec, devices={"kind": "cpu", "count": devices})
    verdict = replay_of(ledger, digest, Worded(), told=now)
    assert verdict.grade == grade
    assert verdict.attainable is not None
    assert verdict.attainable.grade == grade


@pytest.mark.parametrize(
    ("change", "grade", "word"),
    [
        ({}, "EXACT", "the canary is the original's"),
        ({"canary": hex_of("other")}, "EQUIVALENT", "the canary differs"),
        ({"canary": None}, "EXACT", "no canary"),
        ({"numerics": "2"}, "EQUIVALENT", "computes in another way"),
        ({"devices": {"kind": "tpu"}}, "CONSISTENT", "other devices"),
    ],
)
def test_the_best_grade_is_told_before_the_first_step(
    ledger, original, change, grade, word
) -> None:
    recorder = ReplayRecorder(ledger.find(original), ledger)
    best = recorder.attainable(run_facts(**change))
    assert best.grade == grade
    assert word in best.why


def test_a_verdict_of_an_earlier_version_is_still_read(ledger, original) -> None:
    verdict = replay_of(ledger, original, Worded())
    document = verdict.to_json()
    later = set(Verdict.model_fields) - {
        "schema_", "kind", "name", "original", "grade", "what", "first_step",
        "channel", "compared", "determinism", "differences", "code", "environment",
        "devices", "numerics", "canary", "trace_heads", "outcome", "times",
    }  # fmt: skip
    for field in later:
        del document[field]
    for field in ("batches", "initial"):
        del document["compared"][field]
    found = read_document(json.dumps(document).encode(), "old.json")
    assert isinstance(found, Verdict)
    assert found.grade == "EXACT"


def test_the_ledger_verifies_with_words_and_verdicts(ledger, original) -> None:
    replay_of(ledger, original, Worded())
    assert verify(ledger).problems == ()


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FLOATS, FLOATS)
def test_a_distance_is_zero_for_equal_numbers_alone(was, now) -> None:
    distance = relative_distance(float_text(was), float_text(now))
    assert (distance == 0) == (was == now)
    assert distance >= 0


@pytest.mark.parametrize(("was", "now"), [("nan", "1.0"), ("1.0", "inf"), ("0.0", "1")])
def test_what_has_no_distance_is_infinitely_far(was, now) -> None:
    assert relative_distance(was, now) == float("inf")


@given(st.integers(1, 60), st.floats(0.9, 0.9999))
def test_quantiles_of_student_are_those_of_scipy(degrees, probability) -> None:
    from scipy import stats

    expected = float(stats.t.ppf(probability, degrees))
    # Another way to compute them.
    assert student_quantile(probability, degrees) == pytest.approx(
        expected, rel=1e-8, abs=1e-9
    )


@given(st.lists(st.floats(1, 2), min_size=3, max_size=9))
def test_a_band_is_the_prediction_interval_of_its_sample(sample) -> None:
    texts = [float_text(one) for one in sample]
    band = band_of("loss", texts, was="1.5", now="1.5", alpha=0.05)
    mean, n = statistics.fmean(sample), len(sample)
    reach = student_quantile(0.975, n - 1) * statistics.stdev(sample)
    reach *= (1 + 1 / n) ** 0.5
    assert float(band.low) == pytest.approx(mean - reach)
    assert float(band.high) == pytest.approx(mean + reach)


def test_a_number_that_a_repeat_lacks_lies_in_no_band() -> None:
    sample = ["1.0", None, "1.0"]
    assert not band_of("x", sample, was="1.0", now="1.0", alpha=0.05).is_inside


def test_a_number_that_no_seed_changes_must_be_the_same() -> None:
    sample = ["1.25"] * 4
    assert band_of("x", sample, was="1.25", now="1.25", alpha=0.05).is_inside
    other = band_of("x", sample, was="1.25", now="1.2500001", alpha=0.05)
    assert not other.is_inside
