"""A study in the queue of a real Slurm, on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from held_codemix import held, hold, program
from local_slurm import is_installed, local_slurm, slurm
from run_workspace import MAIN, assert_rebuilt, environment
from studies import (
    EXPERIMENTS,
    UNIQUE_STEPS,
    entries_of,
    fresh_study,
    make_study,
    trained_steps,
)

from codemix_cli.commands import study
from runtime.study.slurm_queue import OVER

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.e2e,
    # NOTE: seven minutes where other tests run beside it.
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not is_installed(), reason="Slurm and munge aren't installed"),
]

Found = TypeVar("Found")

IN_FIRST, IN_SECOND = 3, 8
"""Steps at which alpha is held: in its first stage of 5 steps, in its second of 8."""


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    with local_slurm() as environ:
        yield environ


def call(
    folder: Path,
    *options: str,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = study.PROGRAM,
) -> dict[str, Any]:
    """Call `codemix study`, whose jobs are started by a program."""
    code = (
        "from codemix_cli.commands import study; "
        f"study.PROGRAM = {tuple(program)!r}; {MAIN}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "study", "study", *options, "--json"],
        cwd=folder,
        env={**environment(), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def submit(
    folder: Path, cluster: Mapping[str, str], holds: Path
) -> dict[str, dict[str, Any]]:
    """Call `codemix study --on slurm`; return the jobs by name."""
    options = ("--on", "slurm", "--slurm-option", "time=30")
    told = call(folder, *options, environ=cluster, program=program(holds))
    return {one["job"]: one for one in told["jobs"]}


def states(jobs: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["state"] for name, one in jobs.items()}


def queue_of(cluster: Mapping[str, str]) -> dict[str, str]:
    """Return the state of every job that Slurm knows, by its number."""
    rows = slurm(cluster, "squeue", "-h", "--states=all", "-o", "%i %T").splitlines()
    return dict(row.split() for row in rows)


def wait_for(what: Callable[[], Found]) -> Found:
    deadline = time.monotonic() + 900
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def test_a_study_goes_through_slurm_though_jobs_are_killed_and_given_notice(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    done = tmp_path / "here"
    make_study(done)
    here = entries_of(done, call(done))
    folder = fresh_study(done, tmp_path / "there")

    holds = tmp_path / "holds"
    holds.mkdir()
    hold(holds, "alpha", IN_FIRST)
    hold(holds, "alpha", IN_SECOND)

    first = submit(folder, cluster, holds)
    assert set(states(first).values()) == {"submitted"}
    number = first["alpha/balanced"]["slurm_id"]
    run = wait_for(lambda: held(holds, "alpha", IN_FIRST))
    assert run is not None
    # Not by Slurm, which gives notice first: then the run saves its state.
    os.kill(run, signal.SIGKILL)
    wait_for(lambda: queue_of(cluster)[number] in ("FAILED", "CANCELLED"))
    second = submit(folder, cluster, holds)
    assert second["alpha/balanced"]["state"] == "submitted"
    assert second["alpha/balanced"]["before"] in ("FAILED", "CANCELLED")
    assert second["alpha/text"]["state"] == "submitted"
    assert second["delta"]["slurm_id"] == first["delta"]["slurm_id"]

    # Told that its time is over while it trains: it goes back into the queue.
    number, log = (second["alpha/text"][key] for key in ("slurm_id", "log"))
    wait_for(lambda: held(holds, "alpha", IN_SECOND))
    # What is in the queue is not submitted again.
    third = submit(folder, cluster, holds)
    assert "submitted" not in states(third).values()
    assert third["alpha"]["slurm_id"] == second["alpha"]["slurm_id"]
    slurm(cluster, "scancel", "--signal=USR2", number)
    wait_for(lambda: all(state in OVER for state in queue_of(cluster).values()))
    told = (folder / log).read_text()
    before, requeued, after = told.partition(f"Requeued job {number}")
    assert requeued
    stopped = re.search(
        r"stopped after (\d+) of 16 steps, and the state is saved", before
    )
    assert stopped
    assert f"going on after step {stopped[1]}\n" in after

    told = call(folder, "--on", "slurm", "--slurm-option", "time=30", environ=cluster)
    assert {one["state"] for one in told["jobs"]} == {"done"}
    found = entries_of(folder, told)
    assert set(found) == set(EXPERIMENTS)
    for name, entry in found.items():
        assert_rebuilt(entry, here[name])
    assert trained_steps(folder) == UNIQUE_STEPS
