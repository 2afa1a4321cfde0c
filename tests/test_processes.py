"""Many processes: the same bits, one voice, and one end when one of them is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from run_workspace import (
    assert_rebuilt,
    command,
    entry_of,
    environment,
    fresh_copy,
)

MPIRUN = shutil.which("mpirun")

needs_mpirun = pytest.mark.skipif(
    MPIRUN is None, reason="needs Open MPI: apt-get install openmpi-bin"
)

LONGEST_SECONDS = 400


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Job:
    """The processes of one launch, started without a launcher."""

    def __init__(self, workspace: Path, logs: Path, *arguments: list[str]) -> None:
        """Start a process for each list of arguments, and wait for none."""
        address = f"127.0.0.1:{free_port()}"
        logs.mkdir()
        self.logs = [logs / str(index) for index in range(len(arguments))]
        self.processes = []
        for index, words in enumerate(arguments):
            ours = {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_COORDINATOR_BIND_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(len(arguments)),
                "JAX_PROCESS_ID": str(index),
                "JAX_PLATFORMS": "cpu",
            }
            with self.logs[index].open("w") as log:
                process = subprocess.Popen(
                    command(*words),
                    cwd=workspace,
                    env={**environment(1), **ours},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self.processes.append(process)

    def wait(self) -> list[int]:
        """Return all exit codes."""
        deadline = time.monotonic() + LONGEST_SECONDS
        try:
            return [p.wait(max(1, deadline - time.monotonic())) for p in self.processes]
        finally:
            for process in self.processes:
                process.kill()

    def said(self, index: int) -> str:
        """Return what one process printed."""
        return self.logs[index].read_text()

    def wait_for(self, workspace: Path, pattern: str) -> None:
        """Wait until a file of the run is there."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while not list((workspace / ".codemix" / "runs").glob(f"*/{pattern}")):
            assert all(process.poll() is None for process in self.processes)
            assert time.monotonic() < deadline, f"{pattern} never came"
            time.sleep(0.02)


def run_arguments(num: int, *options: str) -> list[list[str]]:
    return [["run", "specs/small.yaml", *options] for _ in range(num)]


def mpirun(workspace: Path, num: int, *arguments: str) -> subprocess.CompletedProcess:
    """Run a command under Open MPI."""
    return subprocess.run(
        mpi_command(num, *arguments),
        cwd=workspace,
        env=mpi_environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def mpi_command(num: int, *arguments: str) -> list[str]:
    """Return the command that starts processes, which speak on loopback alone."""
    return [
        *(str(MPIRUN), "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"),
        *("--mca", "oob_tcp_if_include", "lo", "--mca", "btl_tcp_if_include", "lo"),
        *("-n", str(num), *command(*arguments)),
    ]


def mpi_environment() -> dict[str, str]:
    port = free_port()
    return {
        **environment(1),
        "JAX_COORDINATOR_PORT": str(port),
        "JAX_COORDINATOR_BIND_ADDRESS": f"127.0.0.1:{port}",
        "JAX_PLATFORMS": "cpu",
    }


def flip_a_bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def steps_of(workspace: Path) -> list[list[Any]]:
    """Return fingerprints and metrics of the steps that a workspace has recorded."""
    (path,) = workspace.glob(".codemix/runs/*/journal.jsonl")
    # Each line is a list of a checksum and an event.
    events = [json.loads(line)[1] for line in path.read_text().splitlines()]
    return [
        [event["step"], event["batch"], event["weights"], event["metrics"]]
        for event in events
        if event["kind"] == "step"
    ]


@pytest.fixture
def straight(finished_run: tuple[Path, str]) -> Path:
    """A workspace in which one process has run to the end."""
    return finished_run[0]


def assert_as_straight(workspace: Path, finished_run: tuple[Path, str]) -> None:
    """Check the completed entry of a workspace against that of one process."""
    folder = workspace / ".codemix" / "ledger" / "entries"
    entries = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    (done,) = (one for one in entries if one["outcome"]["status"] == "completed")
    assert_rebuilt(done, entry_of(*finished_run))


@needs_mpirun
def test_two_processes_take_the_steps_of_one(straight: Path, tmp_path: Path) -> None:
    folder = fresh_copy(straight, tmp_path / "two")
    done = mpirun(folder, 2, "run", "specs/small.yaml", "--stop-after", "2", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    assert json.loads(told)["stopped_after"] == 2, "process 0 alone tells the result"
    assert steps_of(folder) == steps_of(straight)[:2]
    (manifest,) = folder.glob(".codemix/runs/*/checkpoints/00000002/manifest.json")
    shares = json.loads(manifest.read_text())["manifest"]["shares"]
    assert len(shares) == 2, "each process has written its rows"


def test_a_process_with_another_spec_is_named_in_all_of_them(
    straight: Path, tmp_path: Path
) -> None:
    folder = fresh_copy(straight, tmp_path / "other")
    spec = folder / "specs" / "small.yaml"
    other = spec.read_text().replace('"seed": 17', '"seed": 18')
    assert other != spec.read_text()
    (folder / "specs" / "other.yaml").write_text(other)
    job = Job(folder, tmp_path / "logs", *run_arguments(1), ["run", "specs/other.yaml"])
    assert job.wait() == [4, 4]
    for index in (0, 1):
        assert "process 1 differs from process 0 in its spec" in job.said(index)
        assert "fix: start all processes with the same command" in job.said(index)
    assert not (folder / ".codemix" / "runs").exists(), "nothing was trained"


def test_processes_that_cannot_share_the_lanes_are_refused(
    straight: Path, tmp_path: Path
) -> None:
    folder = fresh_copy(straight, tmp_path / "three")
    job = Job(folder, tmp_path / "logs", *run_arguments(3))
    assert job.wait() == [4, 4, 4]
    assert "3 processes can't share the batch: it has lanes for 4" in job.said(0)


@pytest.mark.slow
@needs_mpirun
@pytest.mark.parametrize("num", [2, 4])
def test_many_processes_come_to_the_entry_of_one(
    finished_run: tuple[Path, str], tmp_path: Path, num: int
) -> None:
    folder = fresh_copy(finished_run[0], tmp_path / "many")
    done = mpirun(folder, num, "run", "specs/small.yaml")
    assert done.returncode == 0, done.stderr
    assert_as_straight(folder, finished_run)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_one_process_dying_stops_all_and_any_number_goes_on(
    finished_run: tuple[Path, str], tmp_path: Path, victim: int
) -> None:
    folder = fresh_copy(finished_run[0], tmp_path / "killed")
    job = Job(folder, tmp_path / "logs", *run_arguments(2))
    job.wait_for(folder, "checkpoints/00000003/manifest.json")
    job.processes[victim].kill()
    killed = time.monotonic()
    codes = job.wait()
    assert time.monotonic() - killed < 60
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 69
    said = job.said(1 - victim)
    assert f"process {victim} of 2" in said
    assert "is gone" in said
    assert "run the same command again" in said
    # Four go on and are asked to stop; what they saved is damaged; two come to the end.
    job = Job(folder, tmp_path / "four", *run_arguments(4))
    job.wait_for(folder, "checkpoints/00000006/manifest.json")
    job.processes[3].terminate()
    assert job.wait() == [75] * 4
    assert "SIGTERM: stopped after" in job.said(0)
    rows = sorted(folder.glob(".codemix/runs/*/checkpoints/*/*.rows"))[-1]
    flip_a_bit(rows)
    job = Job(folder, tmp_path / "two", *run_arguments(2))
    assert job.wait() == [0, 0], job.said(0)
    step = int(rows.parent.name)
    assert f"the checkpoint after step {step} is damaged: row " in job.said(0)
    assert rows.name in job.said(0)
    assert "going on after step" in job.said(0)
    assert_as_straight(folder, finished_run)


@pytest.mark.slow
def test_processes_save_into_a_bucket_and_one_goes_on(
    finished_run: tuple[Path, str], tmp_path: Path, cloud: str
) -> None:
    folder = fresh_copy(finished_run[0], tmp_path / "bucket")
    spec = json.loads((folder / "specs" / "small.yaml").read_text())
    spec["checkpoints"]["location"] = cloud
    (folder / "specs" / "small.yaml").write_text(json.dumps(spec))
    job = Job(folder, tmp_path / "two", *run_arguments(2, "--stop-after", "7"))
    assert job.wait() == [0, 0], job.said(0)
    assert not list(folder.glob(".codemix/runs/*/checkpoints"))
    job = Job(folder, tmp_path / "one", *run_arguments(1))
    assert job.wait() == [0], job.said(0)
    assert "going on after step 7" in job.said(0)
    assert_as_straight(folder, finished_run)


@pytest.mark.slow
@needs_mpirun
def test_a_replay_by_many_processes_is_exact(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "replayed"
    shutil.copytree(finished_run[0], folder, symlinks=True)
    done = mpirun(folder, 2, "reproduce", finished_run[1], "--json")
    assert done.returncode == 0, done.stderr
    (told,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    assert json.loads(told)["grade"] == "EXACT"


@pytest.mark.slow
@needs_mpirun
def test_open_mpi_ends_all_processes_where_one_is_killed(
    straight: Path, tmp_path: Path
) -> None:
    folder = fresh_copy(straight, tmp_path / "mpi")
    checkpoint = "*/checkpoints/00000003/manifest.json"
    with (tmp_path / "log").open("w") as log:
        launcher = subprocess.Popen(
            mpi_command(2, "run", "specs/small.yaml"),
            cwd=folder,
            env=mpi_environment(),
            stderr=log,
        )
    deadline = time.monotonic() + LONGEST_SECONDS
    while not list((folder / ".codemix" / "runs").glob(checkpoint)):
        assert launcher.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text()
    os.kill(int(children.split()[1]), signal.SIGKILL)
    assert launcher.wait(60) == 128 + signal.SIGKILL
    assert "process rank 1" in (tmp_path / "log").read_text()
