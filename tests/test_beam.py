"""Apache Beam does the jobs that this machine's workers do, to the same bytes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from runtime.beam import engine as beam_engine
from runtime.beam.engine import BeamEngine, beam_python
from runtime.pin import pin
from runtime.workers import Done, Event, Failed
from specs.errors import InputError, Problem

ROOT = Path(__file__).resolve().parent.parent
TESTS = Path(__file__).resolve().parent

needs_beam = pytest.mark.skipif(
    not beam_python().is_file(), reason="Apache Beam is not here: make setup-beam"
)


def run(workspace: Path, jobs: Sequence[Any], **options: Any) -> list[Event]:
    engine = BeamEngine(workspace, **options)
    with engine.open("fake_worker", num_workers=1, environ={}) as workers:
        return list(workers.run(jobs))


@pytest.fixture(autouse=True)
def importable_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def test_missing_beam_is_told_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_engine, "beam_python", lambda: tmp_path / "bin" / "python")
    with pytest.raises(InputError, match="Apache Beam is not installed") as caught:
        run(tmp_path, [1])
    assert "pip install 'apache-beam==" in str(caught.value)


def test_version_told_is_the_version_tested() -> None:
    (pinned,) = (
        line
        for line in (ROOT / "requirements-beam.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    assert pinned == beam_engine.REQUIREMENT


@pytest.mark.e2e
@needs_beam
def test_every_job_is_answered_and_problems_are_told(tmp_path: Path) -> None:
    events = run(tmp_path, [*range(5), "corrupt", "disk"])
    found = {event.job: event for event in events}
    assert sorted(found) == list(range(7))
    for place in range(5):
        event = found[place]
        assert isinstance(event, Done)
        assert event.answer["double"] == 2 * place
    problem = Problem(what="is bad", file="a.jsonl", line=3, fix="mend it")
    assert found[5] == Failed(5, (problem,))
    disk = found[6]
    assert isinstance(disk, Failed)
    assert "No space left on device: 'store'" in disk.problems[0].what
    assert list((tmp_path / ".codemix" / "beam").iterdir()) == []


@pytest.mark.e2e
@needs_beam
def test_crash_and_kill_of_a_worker_are_told_as_without_beam(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: our own mistake"):
        run(tmp_path, ["crash"])
    with pytest.raises(InputError, match="was killed by signal 9"):
        run(tmp_path, ["killed"])


@pytest.fixture
def job_service(tmp_path: Path) -> Iterator[str]:
    """Address of a job service of Beam's own, as those of Flink and Spark are asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = "apache_beam.runners.portability.local_job_service_main"
    with (tmp_path / "service").open("wb") as said:
        command = [beam_python(), "-m", module, "--port", str(port)]
        server = subprocess.Popen(command, stdout=said, stderr=said, process_group=0)
    try:
        wait_until_open(port, server)
        yield f"localhost:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    stop = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < stop
            time.sleep(0.1)
        else:
            return


@pytest.mark.e2e
@needs_beam
def test_jobs_are_done_through_a_job_service(tmp_path: Path, job_service: str) -> None:
    options = (f"job_endpoint={job_service}", "environment_type=LOOPBACK")
    events = run(tmp_path, [1, 2, "corrupt"], runner="PortableRunner", options=options)
    found = {event.job: event for event in events}
    assert [type(found[place]) for place in range(3)] == [Done, Done, Failed]
    assert "starting state server" in (tmp_path / "service").read_text()


@pytest.mark.e2e
@needs_beam
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"options": ("no_such=1",)}, "Beam does not take: no_such=1"),
        ({"options": ("direct_num_workers=x",)}, "Beam does not take: direct_num"),
        ({"runner": "NoSuch"}, "Beam has no runner 'NoSuch'"),
    ],
)
def test_wrong_option_or_runner_is_refused(
    tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        run(tmp_path, [1], **options)


PREPARE = """
import sys
from pathlib import Path
from runtime.beam.engine import BeamEngine
from runtime.engines import LOCAL
from runtime.prepare import prepare
from specs.loading import load_experiment, load_lock, lock_path, save_lock
from specs.resolve import plan_experiment
spec = Path("specs/small.yaml").resolve()
experiment = load_experiment(spec)
lock = load_lock(lock_path(spec))
engine = BeamEngine(Path.cwd()) if sys.argv[1] == "beam" else LOCAL
plan = plan_experiment(experiment)
made = prepare(experiment, plan, lock, Path.cwd(), 1, engine=engine)
save_lock(made, lock_path(spec))
"""


def start(workspace: Path, engine: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, engine],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate()
    assert process.returncode == 0, told


def made_files(workspace: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for folder in (".codemix", "specs")
        for path in sorted((workspace / folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def workspace_at(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        workspace = make_workspace(tmp_path / name)
        texts = [*sentences(9000), *sentences(40)]
        write_lines(workspace / "data" / "code.jsonl", texts)
        write_lines(workspace / "data" / "web.jsonl", sentences(300, seed=4))
        sources = {
            "code": {"uri": "data/code.jsonl", "holdout": 0.05},
            "web": {"uri": "data/web.jsonl"},
        }
        rule = {"sources": ["code", "web"], "exact": True}
        spec = write_spec(workspace, sources, deduplicate=rule)
        pin(spec, experiment_of(spec), workspace)
        return workspace

    return make


@pytest.mark.e2e
@needs_beam
def test_killed_on_beam_and_resumed_there_gives_the_bytes_of_this_machine(
    workspace_at: Callable[[str], Path],
) -> None:
    here, there = workspace_at("here"), workspace_at("there")
    finish(start(here, "local"))
    process = start(there, "beam")
    stores = there / ".codemix" / "stores"
    while not (kept := list(stores.glob("*/shard-*.json"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_nobody_uses(there)
    assert not list(stores.glob("*/manifest.json")), "it was too fast to be killed"
    tokens = kept[0].with_name(kept[0].stem.replace("shard", "train") + ".tokens")
    before = tokens.stat().st_mtime_ns
    finish(start(there, "beam"))
    assert tokens.stat().st_mtime_ns == before
    assert made_files(there) == made_files(here)


def wait_until_nobody_uses(folder: Path) -> None:
    """Wait until no process is left that was told of a folder."""
    stop = time.monotonic() + 60
    while any(str(folder).encode() in line for line in command_lines()):
        assert time.monotonic() < stop
        time.sleep(0.1)


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found
