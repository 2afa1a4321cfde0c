"""A verdict says what was found: never EXACT for what was not compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_runs import (
    NUM_STEPS,
    code,
    environment,
    facts,
    hex_of,
    lock,
    play,
    record,
    tensors,
)

from ledger.documents import Stored
from ledger.facts import Cpu, ObjectRef, Repository
from ledger.listing import rows_of
from ledger.overview import show_entry
from ledger.recorder import COMPLETED, Diverged, Outcome, TensorFacts
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verdict import Verdict
from ledger.verify import verify
from specs.errors import CheckFailed, InputError


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """A ledger with one completed run."""
    ledger = Ledger.open(tmp_path)
    play(RunRecorder(ledger, tmp_path / ".codemix" / "runs" / "a"))
    return ledger


def replay(ledger: Ledger) -> ReplayRecorder:
    return ReplayRecorder(ledger.find("made-up"), ledger)


def changed_at(kind: str, step: int, value: object):
    return lambda called, at, was: value if (called, at) == (kind, step) else was


def test_the_same_again_is_exact(ledger):
    recorder = replay(ledger)
    verdict = play(recorder)
    assert isinstance(verdict, Verdict)
    assert verdict.grade == "EXACT"
    assert verdict.differences == ()
    assert verdict.compared.model_dump() == {
        "steps": {"same": 12, "total": 12},
        "metrics": {"same": 6, "total": 6},
        "stages": {"same": 2, "total": 2},
        "tensors": {"same": 2, "total": 2},
        "scores": {"same": 2, "total": 2},
        "batches": {"same": 12, "total": 12},
        "initial": {"same": 0, "total": 0},
    }
    original = ledger.find("made-up")
    assert verdict.trace_heads == tuple(s.trace_head for s in original.entry.stages)
    assert verdict.original == original.digest


def test_a_verdict_is_an_entry_that_refers_to_the_original(ledger):
    recorder = replay(ledger)
    play(recorder)
    assert recorder.digest is not None
    stored = ledger.find(recorder.digest[:12])
    assert isinstance(stored.entry, Verdict)
    rows = rows_of(ledger.folder)
    assert [row.kind for row in rows] == ["run", "replay"]
    assert rows[1].original == rows[0].digest
    assert verify(ledger).problems == ()
    shown = show_entry(ledger, "made-up")
    assert shown["verdicts"] == [{"digest": recorder.digest, "grade": "EXACT"}]
    with pytest.raises(InputError, match="is a replay, not a run"):
        ReplayRecorder(stored, ledger)


@pytest.mark.parametrize("step", [0, 7, 8, 11])
def test_other_weights_at_a_step_stop_the_replay_there(ledger, step):
    recorder = replay(ledger)
    with pytest.raises(Diverged, match=f"diverged at step {step}: weights") as raised:
        play(recorder, change=changed_at("step", step, record(step, "other")))
    assert (raised.value.step, raised.value.channel) == (step, "weights")
    verdict = recorder.finish(Outcome(status="failed", reason="diverged"))
    assert verdict.grade == "DIVERGED"
    assert (verdict.first_step, verdict.channel) == (step, "weights")
    assert verdict.compared.steps.same == step


def test_another_batch_is_a_matter_of_data_not_of_arithmetic(ledger):
    recorder = replay(ledger)
    other = record(5, "other").model_copy(update={"batch": "0" * 32})
    with pytest.raises(Diverged, match="data or its order differs") as raised:
        play(recorder, change=changed_at("step", 5, other))
    assert (raised.value.step, raised.value.channel) == (5, "batch")


@pytest.mark.parametrize(
    ("kind", "step", "value", "channel"),
    [
        ("checkpoint", 12, tensors(11), "tensors"),
        ("checkpoint", 4, tensors(11), "tensors"),
        ("checkpoint", 12, dict(list(tensors(12).items())[:1]), "tensors"),
        (
            "checkpoint",
            12,
            {
                name: TensorFacts(sha256=t.sha256, shape=t.shape, dtype="bfloat16")
                for name, t in tensors(12).items()
            },
            "tensors",
        ),
        ("scores", 8, {"text.bits_per_byte": 0.25000000000000006}, "scores"),
        ("stage_end", 8, hex_of("other"), "stage"),
    ],
)
def test_whatever_differs_is_divergence(ledger, kind, step, value, channel):
    recorder = replay(ledger)
    with pytest.raises(Diverged) as raised:
        play(recorder, change=changed_at(kind, step, value))
    assert (raised.value.step, raised.value.channel) == (step, channel)
    assert recorder.finish(Outcome(status="failed")).grade == "DIVERGED"


def test_an_equal_final_state_does_not_hide_a_difference_on_the_way(ledger):
    recorder = replay(ledger)
    with pytest.raises(Diverged):
        play(recorder, change=changed_at("step", 3, record(3, "other")))


def test_other_metrics_with_equal_weights_are_found_at_the_end(ledger):
    recorder = replay(ledger)
    other = record(4).model_copy(
        update={"metrics": {"loss": 4.0 / 7, "odd": 0.0}}  # It was -0.0.
    )
    verdict = play(recorder, change=changed_at("step", 4, other))
    assert verdict.grade == "DIVERGED"
    assert (verdict.first_step, verdict.channel) == (4, "metrics")
    assert "the weights are the same at every step" in verdict.what
    assert verdict.compared.steps.is_complete


def test_timings_are_not_compared(ledger):
    slower = record(4).model_copy(update={"timings": {"tokens_per_second": 1.0}})
    verdict = play(replay(ledger), change=changed_at("step", 4, slower))
    assert verdict.grade == "EXACT"


def test_fewer_steps_are_incomplete(ledger):
    verdict = play(replay(ledger), stop=10)
    assert verdict.grade == "INCOMPLETE"
    assert "10 of 12 steps" in verdict.what


def test_skipped_steps_are_incomplete(ledger):
    verdict = play(replay(ledger), start=4)
    assert verdict.grade == "INCOMPLETE"
    assert "8 of 12 steps" in verdict.what


def test_more_steps_are_divergence(ledger):
    recorder = replay(ledger)
    play(recorder, outcome=None)
    with pytest.raises(Diverged, match="stage text was no such step, is one more"):
        recorder.step(record(NUM_STEPS))


class Silent:
    """Passes everything on but one kind of call."""

    def __init__(self, recorder: ReplayRecorder, dropped: str) -> None:
        self._recorder = recorder
        self._dropped = dropped

    def __getattr__(self, name: str):
        if name == self._dropped:
            return lambda *args, **kwargs: None
        return getattr(self._recorder, name)


@pytest.mark.parametrize(
    ("dropped", "kind"),
    [("checkpoint", "tensors"), ("scores", "scores"), ("stage_end", "stages")],
)
def test_what_was_not_reported_was_not_compared(ledger, dropped, kind):
    verdict = play(Silent(replay(ledger), dropped))
    assert verdict.grade == "INCOMPLETE"
    assert f"not everything was compared: 0 of 2 {kind}" in verdict.what


def test_a_replay_that_fails_is_incomplete(ledger):
    verdict = play(replay(ledger), outcome=Outcome(status="failed", reason="no disk"))
    assert verdict.grade == "INCOMPLETE"
    assert verdict.what == "the replay did not end: no disk"


def test_an_original_without_final_tensors_is_never_called_exact(tmp_path):
    ledger = Ledger.open(tmp_path)
    recorder = RunRecorder(ledger, tmp_path / ".codemix" / "runs" / "a")
    play(Silent(recorder, "checkpoint"))
    verdict = play(replay(ledger))
    assert verdict.grade == "INCOMPLETE"
    assert "0 of 0 tensors" in verdict.what


def test_a_stage_taken_over_proves_nothing(ledger):
    recorder = replay(ledger)
    recorder.begin(facts())
    with pytest.raises(CheckFailed, match="taken over"):
        recorder.stage_reused("balanced", hex_of("other"), identity=hex_of("identity"))


def test_a_changed_trace_of_the_original_is_found_before_the_replay(ledger):
    entry = ledger.find("made-up").entry
    path = ledger.objects.path(entry.stages[0].trace.sha256)
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(CheckFailed, match="was changed"):
        replay(ledger)


def test_a_trace_that_is_not_the_entrys_is_found(ledger):
    digest, entry = ledger.find("made-up")
    stage = entry.stages[0].model_copy(update={"trace_head": hex_of("other")})
    forged = entry.model_copy(update={"stages": (stage, entry.stages[1])})
    with pytest.raises(CheckFailed, match="not the one of its entry"):
        ReplayRecorder(Stored(digest, forged), ledger)


def test_differences_are_listed_first_suspect_first(ledger):
    cpu = Cpu(
        architecture="x86_64",
        model="a",
        features=("avx2", "avx512f"),
        num_cores=64,
        num_usable_cores=2,
    )
    now = facts().model_copy(
        update={
            "canary": hex_of("another canary"),
            "lock": lock("other text"),
            "environment": environment("0.11.0", cpu=cpu, kernel="6.9"),
            "devices": {"kind": "cpu", "count": 4},
        }
    )
    found = replay(ledger).differences(now)
    numerics = [
        difference.path for difference in found if difference.rank == "numerics"
    ]
    assert numerics == [
        "canary",
        "data.sources.text",
        "devices.count",
        "environment.cpu.features",
        "environment.distributions.jaxlib",
    ]
    assert [difference.path for difference in found[5:]] == [
        "environment.cpu.num_cores",
        "environment.kernel",
    ]
    assert str(found[2]) == "devices.count: was 2, is 4"
    verdict = play(replay(ledger), run_facts=now)
    assert verdict.grade == "EXACT"
    assert verdict.differences == found


def test_another_commit_with_the_same_files_is_incidental(ledger):
    repository = Repository(
        commit="a" * 40,
        branch="main",
        dirty=True,
        diff=ObjectRef(sha256=hex_of("patch"), bytes=3),
        left_out=(),
    )
    now = facts().model_copy(update={"code": code(repository=repository)})
    assert {found.rank for found in replay(ledger).differences(now)} == {"incidental"}
    now = facts().model_copy(update={"code": code(packages={"runtime": hex_of(1)})})
    [found] = replay(ledger).differences(now)
    assert (found.path, found.rank) == ("code.packages.runtime", "numerics")


def test_other_inputs_with_the_same_weights_are_noted(ledger, tmp_path: Path):
    recorder = replay(ledger)
    play(Silent(recorder, "stage_end"), outcome=None)
    for name, step in (("balanced", 8), ("text", 12)):
        recorder.stage_end(
            name, step, identity=hex_of(1), weights_digest=hex_of("weights", step)
        )
    verdict = recorder.finish(COMPLETED)
    assert verdict.grade == "EXACT"
    assert [found.path for found in verdict.differences] == [
        "stages.balanced.identity",
        "stages.text.identity",
    ]
