"""Recording a run: the entry says what happened, once, whatever interrupts it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledger_runs import (
    NUM_STEPS,
    environment,
    facts,
    hex_of,
    play,
    record,
    tensors,
)

from ledger.entry import Entry
from ledger.history import completed_entry, read_history
from ledger.journal import encode_line, read_journal
from ledger.recorder import Diverged, NullRecorder, Outcome
from ledger.run_recorder import RunRecorder
from ledger.series import decode_series
from ledger.store import Ledger
from ledger.trace import Trace
from specs.errors import InputError

ROOT = Path(__file__).parents[1]


def recorder(workspace: Path, name: str = "a") -> RunRecorder:
    return RunRecorder(Ledger.open(workspace), workspace / ".codemix" / "runs" / name)


def results(entry: Entry) -> dict[str, object]:
    """What a run came to: equal for a straight run and an interrupted one."""
    stages = [stage.model_dump(exclude={"timings"}) for stage in entry.stages]
    return {
        "stages": stages,
        "scores": entry.scores,
        "checkpoints": entry.checkpoints,
        "outcome": entry.outcome,
    }


def test_entry_holds_what_was_reported(tmp_path):
    recording = recorder(tmp_path)
    entry = play(recording)
    ledger = Ledger.open(tmp_path)
    stored = ledger.find("made-up")
    assert stored == (recording.digest, entry)
    assert entry.num_steps == NUM_STEPS
    assert entry.weights_digest == hex_of("weights", NUM_STEPS)
    assert [stage.name for stage in entry.stages] == ["balanced", "text"]
    trace = Trace(ledger.objects.get(entry.stages[1].trace))
    assert trace.at(9).weights == record(9).weights
    assert trace.head == entry.stages[1].trace_head
    points = list(decode_series(ledger.objects.get(entry.stages[0].metrics)))
    odd = [point.values["odd"] for point in points]
    assert [point.step for point in points] == [0, 2, 4, 6]
    assert odd == ["nan", "inf", "-0.0", "5e-324"]
    final = ledger.objects.get_json(entry.checkpoints[-1].tensors)
    assert final == {name: t.to_json() for name, t in tensors(NUM_STEPS).items()}
    assert ledger.objects.get_json(entry.scores[0].detail) == {"n": 3}
    assert ledger.objects.get(entry.raw_spec) == facts().raw_spec.encode()
    assert entry.plan.sha256 == facts().plan.digest
    assert entry.lock.sha256 == facts().lock.digest
    assert entry.seams == ()


def test_the_same_run_gives_the_same_results_elsewhere(tmp_path):
    one, other = play(recorder(tmp_path / "1")), play(recorder(tmp_path / "2"))
    assert results(one) == results(other)
    assert one.recording != other.recording


@pytest.mark.parametrize("resumed_from", [0, 4, 8])
def test_a_resumed_run_comes_to_the_same_entry_with_a_seam(tmp_path, resumed_from):
    straight = play(recorder(tmp_path / "straight"))
    first = recorder(tmp_path)
    play(first, stop=10, outcome=None)
    first.close()
    resumed = play(recorder(tmp_path), start=resumed_from)
    assert results(resumed) == results(straight)
    assert [seam.step for seam in resumed.seams] == [resumed_from]
    steps = [
        line.event["step"]
        for line in read_journal(tmp_path / ".codemix/runs/a/journal.jsonl")
        if line.event["kind"] == "step"
    ]
    assert steps == list(range(NUM_STEPS))


@pytest.mark.parametrize(
    ("kind", "channel", "changed"),
    [
        ("step", "weights", lambda step: record(step, "changed")),
        (
            "step",
            "batch",
            lambda step: record(step).model_copy(update={"batch": "0" * 32}),
        ),
        (
            "step",
            "metrics",
            lambda step: record(step).model_copy(
                update={"metrics": {"loss": 4.0 / (step + 3), "odd": 0.0}}
            ),
        ),
        ("checkpoint", "tensors", lambda step: tensors(step + 1)),
        ("scores", "scores", lambda step: {"text.bits_per_byte": 9.0}),
        ("stage_end", "stage", lambda step: hex_of("other")),
    ],
)
def test_a_resume_that_is_not_exact_is_found(tmp_path, kind, channel, changed):
    first = recorder(tmp_path)
    play(first, stop=10, outcome=None)
    first.close()
    at = {"step": 4, "checkpoint": 8, "scores": 8, "stage_end": 8}[kind]

    def change(called, step, value):
        return changed(step) if (called, step) == (kind, at) else value

    second = recorder(tmp_path)
    with pytest.raises(Diverged, match=f"not exact at step {at}: {channel}") as raised:
        play(second, start=4, change=change)
    second.close()
    assert (raised.value.step, raised.value.channel) == (at, channel)


@pytest.mark.parametrize("resumed_from", [4, 8])
def test_without_exactness_the_later_record_counts(tmp_path, resumed_from):
    fast = facts(determinism="fast")
    first = recorder(tmp_path)
    play(first, stop=10, run_facts=fast, outcome=None)
    first.close()

    def change(kind, step, value):
        if kind == "scores":
            return {"text.bits_per_byte": 0.125}
        return record(step, "other machine") if kind == "step" else value

    again = facts(resumed_from, determinism="fast")
    entry = play(recorder(tmp_path), start=resumed_from, run_facts=again, change=change)
    objects = Ledger.open(tmp_path).objects
    first_stage, second_stage = (
        Trace(objects.get(stage.trace)) for stage in entry.stages
    )
    assert (len(first_stage), len(second_stage)) == (8, 4)
    assert first_stage.at(3).weights == record(3).weights
    salt = "other machine" if resumed_from == 4 else ""
    assert first_stage.at(4).weights == record(4, salt).weights
    assert second_stage.at(8).weights == record(8, "other machine").weights
    assert [score.values for score in entry.scores] == [
        {"text.bits_per_byte": "0.125"}
    ] * 2


def test_a_seam_says_what_changed(tmp_path):
    first = recorder(tmp_path)
    play(first, stop=10, outcome=None)
    first.close()
    newer = facts(4).model_copy(update={"environment": environment("0.11.0")})
    entry = play(recorder(tmp_path), start=4, run_facts=newer)
    assert entry.seams[0].differences == (
        "environment.distributions.jaxlib: was 0.10.2, is 0.11.0",
    )


def test_a_resume_beyond_the_journal_is_refused(tmp_path):
    first = recorder(tmp_path)
    play(first, stop=6, outcome=None)
    first.close()
    assert read_history(tmp_path / ".codemix/runs/a/journal.jsonl").next_step == 6
    journal = tmp_path / ".codemix/runs/a/journal.jsonl"
    before = journal.read_bytes()
    with pytest.raises(InputError, match="ends before step 6, step 8 can't follow"):
        play(recorder(tmp_path), start=8)
    assert journal.read_bytes() == before


def test_a_journal_of_another_run_is_refused(tmp_path):
    first = recorder(tmp_path)
    play(first, stop=6, outcome=None)
    first.close()
    other = facts(identity=hex_of("other"))
    with pytest.raises(InputError, match="this journal is of run"):
        play(recorder(tmp_path), run_facts=other)


def test_an_interrupted_run_leaves_an_entry_and_goes_on(tmp_path):
    folder = tmp_path / ".codemix/runs/a"
    interrupted = Outcome(status="interrupted", reason="Ctrl-C")
    first = recorder(tmp_path)
    entry = play(first, stop=6, outcome=interrupted)
    assert entry.num_steps == 6
    assert entry.stages[0].weights_digest is None
    assert completed_entry(folder) is None
    second = recorder(tmp_path)
    play(second, start=4)
    assert completed_entry(folder) == second.digest
    kinds = [line.digest for line in Ledger.open(tmp_path).log()]
    assert kinds == [first.digest, second.digest]


def test_a_stage_taken_over_keeps_its_trace_and_its_origin(tmp_path):
    origin = recorder(tmp_path, "origin")
    original = play(origin)
    recording = recorder(tmp_path, "reuser")
    recording.begin(facts(identity=hex_of("reuser")))
    identity = hex_of("identity", "balanced")
    recording.stage_reused("first", origin.digest, identity=identity)
    recording.stage_begin("text", 8)
    for step in range(8, 12):
        recording.step(record(step, "other"))
    recording.stage_end("text", 12, identity=hex_of(1), weights_digest=hex_of(2))
    entry = recording.finish(Outcome(status="completed"))
    assert entry.stages[0].trace == original.stages[0].trace
    assert entry.stages[0].reused_from == origin.digest
    assert entry.stages[1].reused_from is None
    assert entry.scores == original.scores[:1]
    assert entry.num_steps == 12


def test_an_unknown_stage_can_not_be_taken_over(tmp_path):
    origin = recorder(tmp_path, "origin")
    play(origin)
    recording = recorder(tmp_path, "reuser")
    recording.begin(facts(identity=hex_of("reuser")))
    with pytest.raises(InputError, match="holds no finished stage like 'balanced'"):
        recording.stage_reused("balanced", origin.digest, identity=hex_of("other"))
    recording.close()


def test_an_artifact_is_kept_by_its_digest(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("all well")
    recording = recorder(tmp_path)
    play(recording, stop=2, outcome=None)
    recording.artifact("report.txt", path)
    entry = recording.finish(Outcome(status="interrupted"))
    [artifact] = entry.artifacts
    assert artifact.name == "report.txt"
    assert Ledger.open(tmp_path).objects.get(artifact.content) == b"all well"


def test_a_clock_that_goes_backwards_does_no_harm(tmp_path, monkeypatch):
    now = [2_000_000]

    def backwards():
        now[0] -= 1
        return now[0] * 10**9

    monkeypatch.setattr(time, "time_ns", backwards)
    entry = play(recorder(tmp_path))
    assert float(entry.times.recorded_seconds) >= 0


def test_null_recorder_takes_every_call():
    assert play(NullRecorder()) is None


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from ledger_runs import play
from ledger.history import read_history
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
workspace = Path(sys.argv[1])
folder = workspace / ".codemix" / "runs" / "a"
start = read_history(folder / "journal.jsonl").next_step // 4 * 4
recorder = RunRecorder(Ledger.open(workspace), folder)
print("started", flush=True)
def pause(step):
    time.sleep(0.02)
play(recorder, start=start, before_step=pause)
"""


@pytest.mark.parametrize("rounds", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_comes_to_the_straight_entry(tmp_path, rounds):
    straight = play(recorder(tmp_path / "straight"))
    moments = random.Random(rounds)
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.3))
            os.kill(process.pid, signal.SIGKILL)
    start = read_history(tmp_path / ".codemix/runs/a/journal.jsonl").next_step // 4 * 4
    entry = play(recorder(tmp_path), start=start)
    assert results(entry) == results(straight)
    assert len(entry.seams) <= rounds


def test_a_torn_step_is_recorded_again(tmp_path):
    first = recorder(tmp_path)
    play(first, stop=10, outcome=None)
    first.close()
    path = tmp_path / ".codemix/runs/a/journal.jsonl"
    torn = encode_line({"kind": "step", "step": 10, "batch": "0", "weights": "0"})
    path.write_bytes(path.read_bytes() + torn[:-9])
    assert read_history(path).next_step == 10
    assert play(recorder(tmp_path), start=8).num_steps == NUM_STEPS


def test_light_parts_load_nothing_heavy():
    script = (
        "import sys, ledger.run_recorder, ledger.replay, ledger.overview, ledger.sync,"
        " ledger.provenance\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True
    ).stdout.split()
    assert not {b"mlflow", b"jax", b"dvc", b"numpy", b"tensorflow"} & set(loaded)


def test_entry_is_readable_json_named_by_its_bytes(tmp_path):
    recording = recorder(tmp_path)
    entry = play(recording)
    path = tmp_path / f".codemix/ledger/entries/{recording.digest}.json"
    document = json.loads(path.read_bytes())
    assert document["schema"] == 1
    assert document["spec"]["seed"] == 17
    assert Entry.model_validate(document) == entry
