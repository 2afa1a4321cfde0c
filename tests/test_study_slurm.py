"""A study in the queue of a real Slurm, on this machine."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_slurm import is_installed, local_slurm, slurm
from run_workspace import assert_rebuilt, command, environment
from studies import (
    EXPERIMENTS,
    UNIQUE_STEPS,
    entries_of,
    fresh_study,
    make_study,
    trained_steps,
)

from runtime.study.slurm_queue import OVER

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.e2e,
    # NOTE: it kills jobs at moments that a quick machine has passed before it looks.
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not is_installed(), reason="Slurm and munge aren't installed"),
]


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    with local_slurm() as environ:
        yield environ


def call(
    folder: Path, *options: str, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Call `codemix study`."""
    done = subprocess.run(
        command("study", "study", *options, "--json"),
        cwd=folder,
        env={**environment(), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def submit(folder: Path, cluster: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Call `codemix study --on slurm`; return the jobs by name."""
    told = call(folder, "--on", "slurm", "--slurm-option", "time=30", environ=cluster)
    return {one["job"]: one for one in told["jobs"]}


def states(jobs: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["state"] for name, one in jobs.items()}


def queue_of(cluster: Mapping[str, str]) -> dict[str, str]:
    """Return the state of every job that Slurm knows, by its number."""
    rows = slurm(cluster, "squeue", "-h", "--states=all", "-o", "%i %T").splitlines()
    return dict(row.split() for row in rows)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 900
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_study_goes_through_slurm_though_jobs_are_killed_and_given_notice(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    done = tmp_path / "here"
    make_study(done)
    here = entries_of(done, call(done))
    folder = fresh_study(done, tmp_path / "there")

    first = submit(folder, cluster)
    assert set(states(first).values()) == {"submitted"}
    # Killed as soon as it trains: its stage is in the ledger seconds later.
    number, log = (first["alpha/balanced"][key] for key in ("slurm_id", "log"))
    wait_for(lambda: (folder / log).exists() and "train" in (folder / log).read_text())
    slurm(cluster, "scancel", "--signal=KILL", "--full", number)
    wait_for(lambda: queue_of(cluster)[number] in ("FAILED", "CANCELLED"))
    second = submit(folder, cluster)
    assert second["alpha/balanced"]["state"] == "submitted"
    assert second["alpha/balanced"]["before"] in ("FAILED", "CANCELLED")
    assert second["alpha/text"]["state"] == "submitted"
    assert second["delta"]["slurm_id"] == first["delta"]["slurm_id"]
    # What is in the queue is not submitted again.
    third = submit(folder, cluster)
    assert "submitted" not in states(third).values()
    assert third["alpha"]["slurm_id"] == second["alpha"]["slurm_id"]

    # Told that its time is over while it trains: it goes back into the queue.
    number, log = (second["alpha/text"][key] for key in ("slurm_id", "log"))
    wait_for(lambda: (folder / log).exists() and "train" in (folder / log).read_text())
    slurm(cluster, "scancel", "--signal=USR2", number)
    wait_for(lambda: all(state in OVER for state in queue_of(cluster).values()))
    assert f"Requeued job {number}" in (folder / log).read_text()

    told = call(folder, "--on", "slurm", "--slurm-option", "time=30", environ=cluster)
    assert {one["state"] for one in told["jobs"]} == {"done"}
    found = entries_of(folder, told)
    assert set(found) == set(EXPERIMENTS)
    for name, entry in found.items():
        assert_rebuilt(entry, here[name])
    assert trained_steps(folder) == UNIQUE_STEPS
