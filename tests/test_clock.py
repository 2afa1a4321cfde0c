"""A clock that is set in mid-run changes no duration and no order."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ledger_runs import play

from ledger.clock import JournalClock
from ledger.journal import read_journal
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger

DAY_NS = 86_400 * 10**9


class Wall:
    """The machine's clock, which somebody sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shift_ns = 0
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + self.shift_ns)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


@pytest.mark.parametrize("days", [-3, 3])
def test_a_jump_in_mid_run_is_not_seen(wall: Wall, tmp_path: Path, days: int) -> None:
    began_ms = time.time_ns() // 10**6

    def jump(step: int) -> None:
        wall.shift_ns = days * DAY_NS if step >= 5 else 0

    folder = tmp_path / ".codemix" / "runs" / "a"
    entry = play(RunRecorder(Ledger.open(tmp_path), folder), before_step=jump)
    times = [line.event["unix_ms"] for line in read_journal(folder / "journal.jsonl")]
    assert times == sorted(times)
    assert 0 <= times[0] - began_ms <= times[-1] - began_ms < 60_000
    assert 0 <= float(entry.times.recorded_seconds) < 60
    assert entry.times.started_unix_ms <= entry.times.ended_unix_ms == times[-1]


def test_a_process_that_goes_on_with_an_earlier_clock_stays_behind_no_line(
    wall: Wall, tmp_path: Path
) -> None:
    folder = tmp_path / ".codemix" / "runs" / "a"
    cut = RunRecorder(Ledger.open(tmp_path), folder)
    play(cut, stop=10, outcome=None)
    cut.close()
    wall.shift_ns = -2 * DAY_NS
    entry = play(RunRecorder(Ledger.open(tmp_path), folder), start=8)
    times = [line.event["unix_ms"] for line in read_journal(folder / "journal.jsonl")]
    assert times == sorted(times)
    assert 0 <= float(entry.times.recorded_seconds) < 60
    assert entry.seams[0].unix_ms >= times[0]


def test_a_clock_starts_at_the_time_of_day() -> None:
    now_ms = time.time_ns() // 10**6
    assert 0 <= JournalClock().now_ms() - now_ms < 5_000
    assert JournalClock(not_before_ms=now_ms + 10**9).now_ms() >= now_ms + 10**9
