"""Jobs on this machine when things go wrong: full disks, lost processes, old logs."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from ledger_runs import hex_of
from reported_study import record
from test_study_schedule import empty_study, local

from ledger.journal import is_being_written
from ledger.store import Ledger
from runtime.stopping import Stopping
from runtime.study.events import Event, StudyJournal
from runtime.study.processes import last_words, start
from runtime.study.ready import ReadyStudy
from runtime.study.running import _stopped
from runtime.study.slots import Slot
from runtime.study.standing import Known, completed_runs


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadyStudy:
    monkeypatch.chdir(tmp_path)
    return empty_study()


def test_a_process_that_has_ended_is_not_remembered(tmp_path: Path) -> None:
    journal = StudyJournal(tmp_path)
    assert journal.last_pid("a") is None
    journal.add(Event("a", "running", pid=41))
    journal.add(Event("b", "running", pid=42))
    assert (journal.last_pid("a"), journal.last_pid("b")) == (41, 42)
    # Its number may be anybody's by now.
    journal.add(Event("a", "failed", "no"))
    assert (journal.last_pid("a"), journal.last_pid("b")) == (None, 42)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is full")
def test_a_full_disk_under_the_journal_stops_no_job(study: ReadyStudy) -> None:
    (study.folder / "journal.jsonl").symlink_to("/dev/full")
    events: list[Event] = []
    jobs = local(study, events)
    jobs.run(Stopping(), lambda: None)
    assert jobs.schedule.is_good


def test_an_event_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write = StudyJournal(tmp_path), os.write
    journal.add(Event("a", "running", pid=41))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:20]))
        journal.add(Event("a", "done"))
    journal.add(Event("b", "running", pid=42))
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["job"] for line in lines] == ["a", "b"]


def test_a_job_that_cannot_be_started_fails_alone(study: ReadyStudy) -> None:
    # Where its log should be, something else is.
    log = study.log(study.jobs["d"])
    log.mkdir(parents=True)
    events: list[Event] = []
    jobs = local(study, events, num_slots=1)
    jobs.run(Stopping(), lambda: None)
    states = {name: one.state for name, one in jobs.schedule.standings.items()}
    assert states.pop("d") == "failed"
    assert set(states.values()) == {"done"}
    (failed,) = (event for event in events if event.state == "failed")
    assert "can't be started: " in failed.reason
    assert failed.log == str(log)


def test_what_cannot_be_started_leaves_its_log_to_others(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with pytest.raises(FileNotFoundError):
        start([str(tmp_path / "nothing")], log, Slot(cores=None))
    assert not is_being_written(log)


def test_an_error_of_an_earlier_call_is_not_told_again(study: ReadyStudy) -> None:
    log = study.log(study.jobs["d"])
    log.parent.mkdir(parents=True)
    log.write_text("--- earlier\nerror: the disk is full\n")
    Path("program.py").write_text("import sys; print('hm'); sys.exit(7)")
    events: list[Event] = []
    local(study, events).run(Stopping(), lambda: None)
    (failed,) = (one for one in events if (one.job, one.state) == ("d", "failed"))
    assert failed.reason == "hm"
    assert last_words(log) == "the disk is full"
    assert last_words(log.with_name("gone.log")) == "its log has been deleted"


def test_cores_are_given_before_anything_runs(tmp_path: Path) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    slot = Slot(cores=(max(before),))
    child = start(["cat", "/proc/self/status"], tmp_path / "x.log", slot)
    while child.poll() is None:
        pass
    told = (tmp_path / "x.log").read_text()
    assert f"Cpus_allowed_list:\t{max(before)}\n" in told
    assert os.sched_getaffinity(0) == before


def test_a_job_that_nobody_can_stop_is_not_waited_for(study: ReadyStudy) -> None:
    log = study.log(study.jobs["a/one"])
    log.parent.mkdir(parents=True)
    with log.open("w") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        events: list[Event] = []
        jobs = local(study, events, num_slots=1)
        stopping = Stopping()
        stopping.event.set()
        jobs.run(stopping, lambda: None)
    assert [event.state for event in events] == ["running", "stopped"]
    assert events[1].reason == "still at work: its process is not known"


def test_a_listener_that_breaks_leaves_no_job_behind(study: ReadyStudy) -> None:
    Path("plan.txt").write_text("--wait")
    pids: list[int] = []

    def tell(event: Event) -> None:
        if event.pid is not None:
            pids.append(event.pid)
        if len(pids) == 2:
            raise BrokenPipeError

    jobs = local(study, [])
    jobs._listener = tell
    with pytest.raises(BrokenPipeError):
        jobs.run(Stopping(), lambda: None)
    assert not jobs.running
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_job_that_could_not_save_its_state_is_named(study: ReadyStudy) -> None:
    jobs = local(study, [])
    assert _stopped(jobs) == "stopped, and the states of all runs are saved"
    jobs.schedule.end("d", "failed", "the disk is full")
    assert _stopped(jobs) == (
        "stopped; d failed (.codemix/studies/s/logs/d/_run.log); "
        "the states of all other runs are saved"
    )


def test_a_job_that_was_left_at_work_is_named(study: ReadyStudy) -> None:
    log = study.log(study.jobs["a/one"])
    log.parent.mkdir(parents=True)
    with log.open("w") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        jobs = local(study, [], num_slots=1)
        stopping = Stopping()
        stopping.event.set()
        jobs.run(stopping, lambda: None)
    assert _stopped(jobs) == (
        "stopped; a/one is still at work: its process is not known "
        "(.codemix/studies/s/logs/a/one.log); the states of all other runs are saved"
    )


def test_one_run_may_be_all_that_two_experiments_are(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    digest = record(tmp_path, "plain", 1, 8, 2.0)
    known = {
        "plain": Known((), hex_of("plain", 1)),
        "twin": Known((), hex_of("plain", 1)),
        "other": Known((), hex_of("other", 1)),
    }
    ledger = Ledger(tmp_path / ".codemix" / "ledger")
    assert completed_runs(ledger, known) == {"plain": digest, "twin": digest}
