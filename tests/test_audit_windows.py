"""Windows are chosen by a seed that comes later, and what is not looked at is told."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import hex_of, record, tensors
from worded_runs import Worded, record_run, run_facts

from ledger.audit import AuditFacts, missed_chance, plan_audit
from ledger.recorder import COMPLETED, Diverged, Outcome
from ledger.replay import ReplayRecorder
from ledger.store import Ledger

TOTAL = 12


def plan(**changes) -> AuditFacts:
    fields = {
        "recorded": [4, 8, 12],
        "at_hand": [4, 8, 12],
        "total_steps": TOTAL,
        "num_windows": 2,
        "most_steps": 100,
        "seed": "a seed",
        "is_seed_given": True,
        **changes,
    }
    return plan_audit(hex_of("entry"), **fields)


def test_windows_go_from_one_recorded_checkpoint_to_the_next() -> None:
    facts = plan(num_windows=3)
    spans = [(one.start_step, one.stop_step) for one in facts.windows]
    assert spans == [(0, 4), (4, 8), (8, 12)]
    assert all(one.is_to_checkpoint for one in facts.windows)
    assert (facts.covered_steps, facts.reachable_steps, facts.share) == (12, 12, 1.0)


def test_a_limit_on_steps_cuts_windows_short_of_the_checkpoint() -> None:
    facts = plan(num_windows=3, most_steps=3)
    spans = [(one.start_step, one.stop_step) for one in facts.windows]
    assert spans == [(0, 3), (4, 7), (8, 11)]
    assert not any(one.is_to_checkpoint for one in facts.windows)
    assert (facts.covered_steps, facts.reachable_steps) == (9, 9)


def test_without_a_checkpoint_no_window_starts_there() -> None:
    facts = plan(at_hand=[8, 12], num_windows=5)
    assert [one.start_step for one in facts.windows] == [0, 8]
    assert (facts.num_possible, facts.num_segments) == (2, 3)
    assert facts.reachable_steps == 8


def test_a_checkpoint_that_the_entry_does_not_record_starts_nothing() -> None:
    facts = plan(at_hand=[2, 4, 8], num_windows=9)
    assert [one.start_step for one in facts.windows] == [0, 4, 8]


def test_the_seed_alone_decides_and_every_window_has_its_turn() -> None:
    assert plan(seed="x") == plan(seed="x")
    chosen: Counter[int] = Counter()
    for seed in range(300):
        (window,) = plan(seed=str(seed), num_windows=1).windows
        chosen[window.start_step] += 1
    assert set(chosen) == {0, 4, 8}
    assert min(chosen.values()) > 60  # 100 each are to be expected


def test_the_entry_counts_too() -> None:
    fields = {
        "recorded": range(0, 1000, 10),
        "at_hand": range(0, 1000, 10),
        "total_steps": 1000,
        "num_windows": 5,
        "most_steps": 10,
        "seed": "s",
        "is_seed_given": True,
    }
    ours, theirs = (plan_audit(hex_of(n), **fields).windows for n in "ab")
    assert ours != theirs


@given(st.integers(1, 7), st.data())
def test_the_chance_to_miss_is_that_of_all_choices(possible, data) -> None:
    chosen = data.draw(st.integers(0, possible))
    altered = data.draw(st.integers(0, possible))
    choices = list(itertools.combinations(range(possible), chosen))
    missed = sum(all(one >= altered for one in choice) for choice in choices)
    assert missed_chance(possible, chosen, altered) == missed / len(choices)


@pytest.fixture
def recorder(tmp_path: Path) -> ReplayRecorder:
    ledger = Ledger.open(tmp_path)
    digest = record_run(ledger, tmp_path / "runs" / "a")
    return ReplayRecorder(ledger.find(digest), ledger)


def window_at_4() -> AuditFacts:
    """Return the first choice that falls on steps 4 to 7."""
    found = (plan(at_hand=[4], num_windows=1, seed=str(n)) for n in range(100))
    return next(facts for facts in found if facts.windows[0].start_step == 4)


def replay_window(recorder: ReplayRecorder, change=None, upto: int = 8) -> None:
    """Tell the steps from 4 to 8 and the checkpoints at both ends."""
    change = change or Worded()
    recorder.chosen(window_at_4())
    recorder.begin(run_facts())
    recorder.checkpoint(4, change("checkpoint", 4, tensors(4)))
    recorder.stage_begin("balanced", 0)
    for step in range(4, upto):
        recorder.step(change("step", step, record(step)))
    recorder.checkpoint(8, change("checkpoint", 8, tensors(8)))


def test_equal_windows_are_audited_and_never_exact(recorder) -> None:
    replay_window(recorder)
    verdict = recorder.finish(COMPLETED)
    assert verdict.grade == "AUDITED"
    assert "4 of 12 steps (33.33%)" in verdict.what
    assert verdict.audit is not None
    assert verdict.trace_heads == ()


def test_a_window_that_was_not_gone_through_is_incomplete(recorder) -> None:
    replay_window(recorder, upto=7)
    verdict = recorder.finish(COMPLETED)
    assert verdict.grade == "INCOMPLETE"
    assert "3 of 4 chosen steps" in verdict.what


def test_a_difference_in_a_window_is_named_as_in_a_replay(recorder) -> None:
    with pytest.raises(Diverged):
        replay_window(recorder, Worded(("output",), since=6))
    verdict = recorder.finish(Outcome(status="failed", reason="diverged"))
    assert (verdict.grade, verdict.first_step, verdict.tensors) == (
        "DIVERGED", 6, ("output",)
    )  # fmt: skip


def test_a_checkpoint_that_is_not_the_entrys_is_named(recorder) -> None:
    def forged(kind, step, value):
        return tensors(5) if (kind, step) == ("checkpoint", 4) else value

    with pytest.raises(Diverged):
        replay_window(recorder, forged)
    verdict = recorder.finish(Outcome(status="failed", reason="diverged"))
    assert (verdict.first_step, verdict.channel, verdict.cause) == (
        4, "tensors", "checkpoint"
    )  # fmt: skip
    assert verdict.tensors == ("optimizer/mu/embedding", "weights/embedding")


def test_a_damaged_checkpoint_is_a_finding(recorder) -> None:
    recorder.chosen(plan())
    recorder.begin(run_facts())
    with pytest.raises(Diverged):
        recorder.damaged(8, "row 3 of embed is not what the manifest says")
    verdict = recorder.finish(Outcome(status="failed", reason="diverged"))
    assert (verdict.first_step, verdict.cause) == (8, "checkpoint")
    assert "row 3 of embed" in verdict.what
