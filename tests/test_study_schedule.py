"""Jobs of a study: which comes next, what a failure blocks, what the ledger spares."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from spec_examples import document
from test_study_graph import END, FIRST, MORE, experiment

from ledger.journal import is_being_written
from runtime.folder_lock import sole_user
from runtime.places import run_folder
from runtime.stopping import Stopping
from runtime.study.events import Event, StudyJournal
from runtime.study.local import LocalJobs
from runtime.study.looking import Looker
from runtime.study.processes import Orphan, last_words, start
from runtime.study.ready import ReadyStudy
from runtime.study.schedule import Schedule
from runtime.study.slots import Slot, divide
from runtime.study.standing import Known
from specs.errors import InputError
from specs.experiment import Experiment, experiment_digest
from specs.loading import load_experiment
from specs.study_graph import study_graph
from specs.study_jobs import jobs_of
from specs.write_resolved import write_resolved

SHORT = {"filter": "length", "min_chars": 9}

TREE = [
    experiment("a", FIRST, MORE, END),
    experiment("b", FIRST, MORE, {**END, "tokens": 5120}),
    experiment("c", FIRST, END),
    experiment("d", seed=2),
]
"""Jobs: a/one, a/two below it, then a and b; c below a/one; d."""

GRAPH = study_graph(TREE)
NAMES = {node.name: identity for identity, node in GRAPH.nodes.items()}

PROGRAM = """
import sys, pathlib, time
name = pathlib.Path(sys.argv[2]).stem + "".join(sys.argv[3:-1])
print("running", name, flush=True)
plan = pathlib.Path("plan.txt").read_text().split()
if name in plan:
    print("error: x.yaml: the loss is not finite\\n  fix: lower it", flush=True)
    sys.exit(5)
if "--wait" in plan:
    time.sleep(60)
"""
"""Stands in for codemix: fails where the file `plan.txt` says so."""


def schedule() -> Schedule:
    return Schedule(jobs_of(GRAPH))


def test_jobs_are_ready_once_those_before_them_are_done() -> None:
    found = schedule()
    assert found.ready() == ["a/one", "d"], "the longest way ahead comes first"
    found.begin("a/one")
    assert found.ready() == ["d"]
    found.end("a/one", "done")
    assert found.ready() == ["a/two", "d", "c"]
    for name in ("a/two", "d", "c", "b", "a"):
        assert name in found.ready()
        found.end(name, "done")
    assert found.is_good
    assert found.ready() == []


def test_a_failed_job_blocks_what_waits_for_it_and_nothing_else() -> None:
    found = schedule()
    found.end("a/one", "done")
    assert found.end("a/two", "failed", "not finite") == ["a", "b"]
    assert found.ready() == ["d", "c"]
    assert found.standings["b"].reason == "a/two"
    assert not found.is_good
    other = schedule()
    assert other.end("a/one", "failed") == ["a/two", "c", "a", "b"]
    assert other.ready() == ["d"]


def test_what_the_ledger_has_is_not_run() -> None:
    found = schedule()
    found.keep({NAMES["a/two"]}, {"c", "d"})
    # Nothing that is left goes on from the first stage.
    kept = {name for name, one in found.standings.items() if one.is_kept}
    assert kept == {"a/one", "a/two", "c", "d"}
    assert set(found.ready()) == {"a", "b"}
    found = schedule()
    found.keep({NAMES["a/two"]}, set())
    assert found.ready() == ["a/one", "d", "b", "a"]


def test_a_prefix_that_is_gone_is_trained_for_those_that_need_it() -> None:
    found = schedule()
    found.keep(set(), {"a", "b", "d"})
    assert {n for n, one in found.standings.items() if one.is_kept} == {
        "a", "b", "d", "a/two",
    }  # fmt: skip
    assert found.ready() == ["a/one"]


def empty_study() -> ReadyStudy:
    """Make one in this folder; its specs are not there, nor are they read."""
    Path("program.py").write_text(PROGRAM)
    Path("plan.txt").write_text("")
    folder = Path(".codemix/studies/s")
    folder.mkdir(parents=True)
    return ReadyStudy(name="s", folder=folder, workspace=Path(), graph=GRAPH, locks={})


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadyStudy:
    monkeypatch.chdir(tmp_path)
    return empty_study()


def local(study: ReadyStudy, events: list[Event], num_slots: int = 2) -> LocalJobs:
    known = {
        name: Known(member.stages, f"{index}" * 64)
        for index, (name, member) in enumerate(study.graph.members.items())
    }
    program = (sys.executable, "program.py")
    slots = [Slot(cores=None)] * num_slots
    return LocalJobs(study, known, slots, program, ["--end"], events.append)


def test_jobs_run_in_their_order_with_their_output_kept(study: ReadyStudy) -> None:
    events: list[Event] = []
    jobs = local(study, events)
    jobs.run(Stopping(), lambda: None)
    assert jobs.schedule.is_good
    ended = [event.job for event in events if event.state == "done"]
    assert sorted(ended) == sorted(study.jobs)
    for name, job in study.jobs.items():
        assert all(ended.index(one) < ended.index(name) for one in job.parents)
    log = study.log(study.jobs["a/two"])
    assert log == study.folder / "logs" / "a" / "two.log"
    assert log.read_text().splitlines()[1:] == ["running a--stop-after118"]
    lines = (study.folder / "journal.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [(one["job"], one["state"]) for one in told] == [
        (event.job, event.state) for event in events
    ]


def test_a_failure_is_told_with_its_log_and_others_go_on(study: ReadyStudy) -> None:
    Path("plan.txt").write_text("a--stop-after118 d")
    events: list[Event] = []
    jobs = local(study, events, num_slots=1)
    jobs.run(Stopping(), lambda: None)
    rows = {row.job: row for row in Looker(jobs).look().rows}
    states = {name: row.state for name, row in rows.items()}
    assert states == {
        "a/one": "done", "a/two": "failed", "a": "blocked", "b": "blocked",
        "c": "done", "d": "failed",
    }  # fmt: skip
    assert rows["d"].reason == "x.yaml: the loss is not finite"
    assert rows["b"].reason == "a/two"
    assert [event.log for event in events if event.job == "d"][1] is not None
    # The next call tries it again.
    Path("plan.txt").write_text("")
    again = local(study, events)
    again.run(Stopping(), lambda: None)
    assert again.schedule.is_good


def test_a_signal_reaches_every_job_and_all_are_waited_for(study: ReadyStudy) -> None:
    Path("plan.txt").write_text("--wait")
    events: list[Event] = []
    jobs = local(study, events)
    stopping = Stopping()
    pids: list[int] = []

    def stop_when_two_run() -> None:
        pids[:] = [one.pid for one in jobs.running.values() if one.pid is not None]
        if len(pids) == 2:
            stopping.reason = "preempted"
            stopping.event.set()

    jobs.run(stopping, stop_when_two_run)
    assert [one.state for one in jobs.schedule.standings.values()].count("stopped") == 2
    assert not jobs.running
    for event in events:
        if event.pid is not None:
            with pytest.raises(ProcessLookupError):
                os.kill(event.pid, 0)


def test_a_job_that_an_earlier_call_left_behind_is_waited_for(
    study: ReadyStudy,
) -> None:
    Path("plan.txt").write_text("--wait")
    log = study.log(study.jobs["a/one"])
    command = [sys.executable, "program.py", *study.command(study.jobs["a/one"])[1:]]
    left = start(command, log, Slot(cores=None))
    StudyJournal(study.folder).add(Event("a/one", "running", pid=left.pid))
    # As if the study that started it was gone: the process alone holds the lock.
    os.close(left._lock)
    left._lock = -1
    assert is_being_written(log)
    events: list[Event] = []
    jobs = local(study, events, num_slots=1)
    (found,) = jobs.running.values()
    assert isinstance(found, Orphan)
    assert found.pid == left.pid
    assert jobs.schedule.standings["a/one"].state == "running"
    Path("plan.txt").write_text("")
    threading.Timer(0.5, lambda: left.send(signal.SIGKILL)).start()
    jobs.run(Stopping(), left.poll)
    # The ledger has nothing of it, so it was run again.
    states = [event.state for event in events if event.job == "a/one"]
    assert states == ["running", "waiting", "running", "done"]
    assert jobs.schedule.is_good


def test_a_run_that_is_at_work_elsewhere_is_waited_for(study: ReadyStudy) -> None:
    events: list[Event] = []
    jobs = local(study, events)
    folder = run_folder(Path(), jobs.known["d"].run)
    with ExitStack() as elsewhere:
        elsewhere.enter_context(sole_user(folder))

        def end_it_when_others_are_done() -> None:
            states = {name: one.state for name, one in jobs.schedule.standings.items()}
            if states.pop("d") == "waiting" and set(states.values()) == {"done"}:
                elsewhere.close()

        jobs.run(Stopping(), end_it_when_others_are_done)
    assert jobs.schedule.is_good
    assert [event.job for event in events][-2:] == ["d", "d"]


def test_a_log_ends_with_the_last_error(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("error: first\n  fix: this\nwords\n\n")
    assert last_words(log) == "first"
    log.write_text("words\nmore\n\n")
    assert last_words(log) == "more"
    log.write_text("")
    assert last_words(log) == ""


def test_cores_are_divided_and_none_is_given_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores = {"sched_getaffinity": lambda _: {0, 2, 3, 5, 7}}
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(os, *cores.popitem(), raising=False)
    assert [slot.cores for slot in divide(2)] == [(0, 2), (3, 5)]
    assert [slot.cores for slot in divide(1)] == [None]
    assert [slot.cores for slot in divide(6)] == [None] * 6


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with four GPUs and a TPU; say which of jax's packages it has."""
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    monkeypatch.setattr("runtime.study.slots.has_tpus", lambda: True)

    def install(*names: str) -> None:
        for name in ("libtpu", "jax_cuda12_plugin", "jax_cuda13_plugin"):
            if name in names:
                monkeypatch.delitem(sys.modules, name, raising=False)
                (tmp_path / f"{name}.py").touch()
            else:  # Python's way to say that there is no such module.
                monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def environs(num_jobs: int) -> list[str | None]:
    return [slot.environ.get("CUDA_VISIBLE_DEVICES") for slot in divide(num_jobs)]


@pytest.mark.parametrize("plugin", ["jax_cuda12_plugin", "jax_cuda13_plugin"])
def test_gpus_are_divided_where_jax_has_its_package_for_them(
    plugin: str, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(plugin)
    assert environs(2) == ["4,5", "6,7"]
    with pytest.raises(InputError, match="5 jobs can't share 4 GPUs") as caught:
        divide(5)
    assert "JAX_PLATFORMS=cpu" in str(caught.value)
    for platforms in ("cuda", "gpu", "cuda,cpu"):
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
        assert environs(2) == ["4,5", "6,7"]
    for platforms in ("cpu", "cpu,cuda"):
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
        assert environs(5) == [None] * 5


def test_devices_that_jax_has_no_package_for_are_not_counted(
    installed: Callable[..., None],
) -> None:
    installed()
    assert environs(5) == [None] * 5


def test_the_chips_of_a_tpu_are_not_divided(
    installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("libtpu")
    with pytest.raises(InputError, match="chips of a TPU can't be divided"):
        divide(2)
    assert environs(1) == [None]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert environs(2) == [None] * 2


def test_a_job_runs_on_the_cores_of_its_slot(tmp_path: Path) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    core = min(os.sched_getaffinity(0))
    code = "import os, time; time.sleep(0.3); print(os.sched_getaffinity(0), "
    code += "os.environ['MINE'])"
    slot = Slot(cores=(core,), environ={"MINE": "yes"})
    child = start([sys.executable, "-c", code], tmp_path / "x.log", slot)
    while child.poll() is None:
        time.sleep(0.02)
    assert (tmp_path / "x.log").read_text().splitlines()[1] == f"{{{core}}} yes"
    assert not is_being_written(tmp_path / "x.log")


def test_a_resolved_spec_reads_back_as_it_was(tmp_path: Path) -> None:
    changes = {
        "sources": {
            "text": {"uri": "t.jsonl", "where": {"a": {"not": ["on", "3e5", "1_0"]}}},
            "web": {"uri": "w.jsonl", "filters": [SHORT]},
        },
        "description": "caf\u00e9: # no comment",
        "tags": ["null", "1.0", "x"],
        "optimizer": {"epsilon": 1e-12, "clip_norm": None},
    }
    found = Experiment.model_validate(document(**changes))
    path = tmp_path / "x.yaml"
    write_resolved(path, found, "for people")
    assert load_experiment(path) == found
    assert experiment_digest(load_experiment(path)) == experiment_digest(found)
    before = path.stat()
    write_resolved(path, found, "for people")
    assert path.stat() == before, "what is there is not written again"
