"""Worker processes: every job answered, every failure told, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.workers import Done, Event, Failed, Moved, WorkerPool
from specs.errors import InputError, Problem

TESTS = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def importable_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def run(jobs: list[object], num_workers: int = 1) -> list[Event]:
    with WorkerPool("fake_worker", num_workers=num_workers, environ={}) as pool:
        return list(pool.run(jobs))


def wait_until(is_so: object, seconds: float = 60) -> None:
    stop = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < stop
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_every_job_is_answered_once_by_workers_of_their_own() -> None:
    events = run(list(range(20)), num_workers=2)
    assert {event.job for event in events} == set(range(20))
    assert all(isinstance(event, Done) for event in events)
    assert all(event.answer["double"] == 2 * event.job for event in events)
    assert os.getpid() not in {event.answer["pid"] for event in events}


def test_pool_does_one_list_of_jobs_after_the_other() -> None:
    with WorkerPool("fake_worker", num_workers=1, environ={}) as pool:
        assert [event.answer["double"] for event in pool.run([1, 2])] == [2, 4]
        assert list(pool.run([])) == []
        assert [event.answer["double"] for event in pool.run([3])] == [6]


def test_problems_of_a_job_are_told_and_the_others_done() -> None:
    events = run(["corrupt", 4])
    problem = Problem(what="is bad", file="a.jsonl", line=3, fix="mend it")
    assert events[0] == Failed(0, (problem,))
    assert isinstance(events[1], Done)


def test_full_disk_is_told_as_a_problem() -> None:
    (event,) = run(["disk"])
    assert isinstance(event, Failed)
    assert "No space left on device: 'store'" in event.problems[0].what


def test_progress_is_told_between_answers() -> None:
    events = run(["report"])
    assert events[0] == Moved(0, 7)
    assert isinstance(events[1], Done)


def test_crash_of_ours_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)crashed:.*our own mistake"):
        run(["crash"])


def test_worker_that_ends_by_itself_comes_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)status 3:.*last words"):
        run(["exit"])


def test_killed_worker_is_for_the_user_to_act_on() -> None:
    with pytest.raises(InputError, match="killed by signal 9") as caught:
        run(["killed", 1, 2])
    assert "fewer workers" in (caught.value.problems[0].fix or "")


def test_missing_module_is_told() -> None:
    with (
        WorkerPool("no_such_worker", num_workers=1, environ={}) as pool,
        pytest.raises(RuntimeError, match="No module named 'no_such_worker'"),
    ):
        list(pool.run([1]))


def test_leaving_the_pool_ends_busy_workers() -> None:
    with WorkerPool("fake_worker", num_workers=1, environ={}) as pool:
        pid = pool._workers[0]._process.pid
        events = pool.run(["report", "sleep"])
        assert isinstance(next(events), Moved)
        assert is_alive(pid)
    assert not is_alive(pid)


PARENT = """
import sys
from runtime.workers import WorkerPool
with WorkerPool("fake_worker", num_workers=2, environ={}) as pool:
    print(*[worker._process.pid for worker in pool._workers], flush=True)
    for event in pool.run([1, "sleep", "sleep"]):
        print("event", flush=True)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_early", [True, False])
def test_parent_that_is_killed_leaves_no_worker(
    parent: subprocess.Popen[str], number: signal.Signals, is_early: bool
) -> None:
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    if not is_early:
        assert parent.stdout.readline() == "event\n"
    parent.send_signal(number)
    parent.wait(60)
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
