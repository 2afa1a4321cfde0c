"""Watching runs that go on, have ended, or are gone: from their journals alone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ledger_runs
import pytest
from ledger_runs import NUM_STEPS
from test_cli_commands import as_json, codemix

from ledger.delivery import DeliveryState, state_path
from ledger.recorder import Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.watching import RunWatch, snapshot_json
from specs.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorder(workspace: Path, name: str = "aaaa") -> RunRecorder:
    return RunRecorder(Ledger.open(workspace), workspace / ".codemix" / "runs" / name)


def watch(workspace: Path, name: str = "aaaa") -> RunWatch:
    journal = workspace / ".codemix" / "runs" / name / "journal.jsonl"
    return RunWatch(journal, Ledger(workspace / ".codemix" / "ledger").objects)


def test_every_step_is_seen_as_it_comes(workspace):
    watched = watch(workspace)
    seen = []
    ledger_runs.play(
        recorder(workspace), before_step=lambda step: seen.append(watched.look())
    )
    assert [one.step for one in seen] == list(range(NUM_STEPS))
    assert {one.state for one in seen} == {"running"}
    assert [one.stage for one in seen] == ["balanced"] * 8 + ["text"] * 4
    assert [one.checkpoint_step for one in seen] == [None] * 4 + [4] * 4 + [8] * 4
    assert seen[0].loss is None
    assert seen[0].left_seconds is None
    assert [one.loss for one in seen[1:3]] == [repr(4.0 / 3)] * 2
    assert seen[5].tokens_per_second == 1004.0
    assert seen[5].left_seconds is not None
    assert len(seen[5].curve) == 5, "what is not trained yet is blank"
    last = watched.look()
    assert (last.state, last.step, last.left_seconds) == ("completed", NUM_STEPS, None)
    assert last.entry == Ledger.open(workspace).find("made-up").digest
    assert watch(workspace).look() == last, "read at once or bit by bit: the same"


def test_a_run_whose_process_is_gone_says_so_and_goes_on(workspace):
    first = recorder(workspace)
    ledger_runs.play(first, stop=7, outcome=None)
    first.close()
    watched = watch(workspace)
    now = watched.look()
    assert (now.state, now.step, now.checkpoint_step) == ("gone", 7, 4)
    assert "gone without a word" in codemix("ledger", "watch", "aaaa").stdout
    ledger_runs.play(recorder(workspace), start=4)
    now = watched.look()
    assert (now.state, now.step, now.num_seams) == ("completed", NUM_STEPS, 1)
    told = codemix("ledger", "watch", "made-up").stdout
    assert "is completed" in told
    assert f"next: codemix ledger show {now.entry[:12]}" in told


@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_steps_that_are_trained_anew_count_once(workspace, determinism):
    def facts(resumed: int | None):
        return ledger_runs.facts(resumed, determinism=determinism)

    first = recorder(workspace)
    ledger_runs.play(first, stop=7, outcome=None, run_facts=facts(None))
    first.close()
    watched = watch(workspace)
    before = watched.look()
    second = recorder(workspace)
    ledger_runs.play(second, start=4, stop=6, outcome=None, run_facts=facts(4))
    now = watched.look()
    second.close()
    assert now.step == (before.step if determinism == "exact" else 6)
    # Losses of steps 0, 2, 4 and, where it still counts, 6.
    expected = [4.0 / (step - step % 2 + 3) for step in range(now.step)]
    assert list(now.curve) == expected


def test_an_unhappy_end_is_told_with_its_reason(workspace):
    outcome = Outcome(status="failed", reason="loss is nan")
    ledger_runs.play(recorder(workspace), stop=5, outcome=outcome)
    assert "failed: loss is nan" in codemix("ledger", "watch", "aaaa").stdout


def test_what_waits_for_mlflow_is_counted(workspace):
    ledger_runs.play(recorder(workspace))
    journal = workspace / ".codemix/runs/aaaa/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[:-3]))
    uri = "http://127.0.0.1:1"
    state = DeliveryState(uri=uri, offset=offset, problem="no answer")
    state_path(journal, uri).write_bytes(state.to_bytes())
    [delivered] = as_json("ledger", "watch", "aaaa")["delivered"]
    assert delivered == {"problem": "no answer", "uri": uri, "waiting": 3}
    shown = codemix("ledger", "watch", "aaaa").stdout
    assert "3 lines waiting" in shown
    state_path(journal, uri).write_bytes(b"{")
    assert as_json("ledger", "watch", "aaaa")["delivered"] == []


def test_the_run_that_goes_on_is_chosen_and_several_are_listed(workspace):
    shown = codemix("ledger", "watch")
    assert (shown.exit_code, "codemix run SPEC" in shown.stderr) == (4, True)
    ledger_runs.play(recorder(workspace, "aaaa"))
    shown = codemix("ledger", "watch")
    assert (shown.exit_code, "no run is going on" in shown.stderr) == (4, True)
    assert "codemix ledger watch aaaa" in shown.stderr
    live = [recorder(workspace, name) for name in ("bbbb", "bbcc")]
    ledger_runs.play(live[0], stop=3, outcome=None)
    assert as_json("ledger", "watch")["run"] == "bbbb"
    ledger_runs.play(live[1], stop=3, outcome=None)
    shown = codemix("ledger", "watch")
    assert shown.exit_code == 4
    assert "2 runs are meant: bbbb (made-up), bbcc (made-up)" in shown.stderr
    assert as_json("ledger", "watch", "bbc")["state"] == "running"
    shown = codemix("ledger", "watch", "zz")
    assert (shown.exit_code, "no run is named 'zz'" in shown.stderr) == (4, True)
    for one in live:
        one.close()


def test_a_journal_that_is_deleted_or_shrinks_is_no_traceback(workspace):
    ledger_runs.play(recorder(workspace))
    watched = watch(workspace)
    whole = watched.look()
    journal = workspace / ".codemix/runs/aaaa/journal.jsonl"
    data = journal.read_bytes()
    journal.write_bytes(b"".join(data.splitlines(keepends=True)[:4]))
    assert watched.look().step == 2
    journal.write_bytes(data)
    assert snapshot_json(watched.look()) == snapshot_json(whole)
    journal.unlink()
    with pytest.raises(InputError, match="no journal any more"):
        watched.look()


WRITER = """
import sys, time
from pathlib import Path
import ledger_runs
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
workspace = Path(sys.argv[1])
def wait(step):
    print(step, flush=True)
    sys.stdin.readline()
recorder = RunRecorder(Ledger.open(workspace), workspace / ".codemix/runs/aaaa")
ledger_runs.play(recorder, before_step=wait)
"""


@pytest.fixture
def writer(workspace):
    """A process that records a step of a run for each line that it is sent."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(workspace)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    yield process
    process.kill()
    process.communicate()


@contextmanager
def watching(workspace: Path, stderr: int) -> Iterator[subprocess.Popen[str]]:
    script = (
        "import ledger.watching; ledger.watching.POLL_SECONDS = 0.05\n"
        "from codemix_cli.main import cli; cli(prog_name='codemix')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "ledger", "watch"],
        cwd=workspace,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "COLUMNS": "120",
            "PYTHONUTF8": "1",
        },
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Screen:
    """Reads what a process draws on a terminal."""

    def __init__(self) -> None:
        self.here, self.there = pty.openpty()
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            time.sleep(0.02)

    def _read(self) -> None:
        while True:
            try:
                self.text += os.read(self.here, 4096).decode()
            except OSError:
                return


def test_a_terminal_is_drawn_anew_until_the_run_ends(workspace, writer):
    screen = Screen()
    with watching(workspace, screen.there) as process:
        screen.wait_for("0 of 12  0%")
        for step in range(NUM_STEPS):
            writer.stdin.write("go\n")
            writer.stdin.flush()
            if step == 5:
                screen.wait_for("6 of 12  50%")
                screen.wait_for("\u2588")
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "\x1b[" in screen.text
    assert "is completed" in out
    assert "12 of 12  100%" in out


def test_lines_are_told_elsewhere_and_ctrl_c_leaves_the_run_alone(workspace, writer):
    with watching(workspace, subprocess.PIPE) as process:
        assert process.stderr is not None
        assert "0 of 12  0%" in process.stderr.readline()
        writer.stdin.write("go\n")
        writer.stdin.flush()
        assert "1 of 12  8%" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "is going on" in out
    assert writer.poll() is None
