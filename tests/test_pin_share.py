"""Pinned data on its way between clones, and pinning that is killed or crowded."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data_workspace import (
    dvc,
    experiment_of,
    git,
    isolate,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from ledger.dvc_store import DvcStore
from runtime.pin import pin
from runtime.pinned import check_pinned
from specs.errors import InputError
from specs.loading import load_lock, lock_path
from specs.lock import Lock

ROOT = Path(__file__).resolve().parent.parent
PIN = """
import sys
from pathlib import Path
from ledger.dvc_store import DvcStore
from runtime.pin import pin
from specs.loading import load_experiment
spec = Path("specs/small.yaml").resolve()
pin(spec, load_experiment(spec), Path.cwd())
"""


def start_pin(workspace: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PIN],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fill(workspace: Path, *, num_files: int, lines_per_file: int) -> Path:
    for index in range(num_files):
        path = workspace / "data" / "many" / f"{index:03d}.jsonl"
        write_lines(path, sentences(lines_per_file, seed=index))
    (workspace / "data" / "docs").mkdir()
    for name in ("a.txt", "b.txt"):
        (workspace / "data" / "docs" / name).write_text(f"text {name}")
    sources = {"many": {"uri": "data/many/*.jsonl"}, "docs": {"uri": "data/docs"}}
    return write_spec(workspace, sources)


def test_second_clone_has_the_data_by_push_and_pull(tmp_path: Path) -> None:
    first = make_workspace(tmp_path / "first")
    spec = fill(first, num_files=3, lines_per_file=4)
    lock = pin(spec, experiment_of(spec), first)
    dvc(first, "remote", "add", "--default", "depot", str(tmp_path / "depot"))
    git(first, "add", ".")
    git(first, "commit", "--quiet", "--message", "pinned")
    assert "data/many/000.jsonl" not in git(first, "ls-files").split()
    dvc(first, "push")

    second = tmp_path / "second"
    git(tmp_path, "clone", "--quiet", str(first), str(second))
    isolate(second)
    spec = second / "specs" / "small.yaml"
    locked = load_lock(lock_path(spec))
    assert locked == lock
    what = "is missing from the workspace and from the DVC cache"
    with pytest.raises(InputError, match=what) as caught:
        check_pinned(experiment_of(spec), locked, second)
    assert len(caught.value.problems) == 5

    dvc(second, "pull")
    assert check_pinned(experiment_of(spec), locked, second) == ()
    assert pin(spec, experiment_of(spec), second) == lock
    assert git(second, "status", "--porcelain") == ""


def test_pinning_inside_a_stage_works(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "study")
    fill(workspace, num_files=1, lines_per_file=2)
    (workspace / "pin.py").write_text(PIN)
    (workspace / "dvc.yaml").write_text(
        "stages:\n  pin:\n    deps: [specs/small.yaml]\n"
        f"    cmd: PYTHONPATH={ROOT} {sys.executable} pin.py\n"
    )
    dvc(workspace, "repro")
    spec = workspace / "specs" / "small.yaml"
    lock = load_lock(lock_path(spec))
    assert check_pinned(experiment_of(spec), lock, workspace) == ()


def test_pinning_beside_another_dvc_says_so(tmp_path: Path) -> None:
    from dvc.repo import Repo

    workspace = make_workspace(tmp_path / "study")
    spec = fill(workspace, num_files=1, lines_per_file=2)
    with Repo(str(workspace)) as repo, repo.lock:
        with pytest.raises(InputError, match="another dvc or codemix process is busy"):
            pin(spec, experiment_of(spec), workspace)
        assert not lock_path(spec).exists()


def test_pinning_prints_nothing(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "study")
    fill(workspace, num_files=2, lines_per_file=2)
    process = start_pin(workspace)
    assert process.communicate() == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("num_kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_pinning_that_is_killed_ends_the_same(
    tmp_path: Path, num_kills: int, seed: int
) -> None:
    undisturbed = make_workspace(tmp_path / "undisturbed")
    spec = fill(undisturbed, num_files=20, lines_per_file=200)
    start = time.monotonic()
    process = start_pin(undisturbed)
    assert process.communicate() == ("", "")
    seconds = time.monotonic() - start

    killed = make_workspace(tmp_path / "killed")
    fill(killed, num_files=20, lines_per_file=200)
    random_number = random.Random(seed)
    for _ in range(num_kills):
        process = start_pin(killed)
        time.sleep(random_number.uniform(0.2, 1) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        path = lock_path(killed / "specs" / "small.yaml")
        if path.exists():
            assert load_lock(path) == load_lock(lock_path(spec))
            path.unlink()
    process = start_pin(killed)
    assert process.communicate() == ("", "")
    lock = assert_same(undisturbed, killed)
    spec = killed / "specs" / "small.yaml"
    assert check_pinned(experiment_of(spec), lock, killed) == ()


def assert_same(one: Path, other: Path) -> Lock:
    spec = Path("specs") / "small.yaml"
    lock = load_lock(lock_path(one / spec))
    assert lock == load_lock(lock_path(other / spec))
    tracked = sorted(path.relative_to(one) for path in one.glob("data/**/*.dvc"))
    assert tracked == sorted(
        path.relative_to(other) for path in other.glob("data/**/*.dvc")
    )
    assert all(
        (one / path).read_bytes() == (other / path).read_bytes() for path in tracked
    )
    return lock


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_what_a_killed_dvc_left_half_written_is_mended(
    tmp_path: Path, mode: int
) -> None:
    workspace = make_workspace(tmp_path / "study")
    spec = fill(workspace, num_files=1, lines_per_file=2)
    lock = pin(spec, experiment_of(spec), workspace)
    md5 = lock.inputs["sources.docs"].dvc_hash.removeprefix("md5:")
    listing = DvcStore(workspace).cached(md5)
    assert listing is not None
    whole = listing.read_bytes()
    for path in (listing, workspace / ".dvc" / "tmp" / "rwlock"):
        path.chmod(0o644)
        path.write_bytes(b'[{"md5": "')
    listing.chmod(mode)
    assert pin(spec, experiment_of(spec), workspace) == lock
    assert listing.read_bytes() == whole
    assert check_pinned(experiment_of(spec), lock, workspace) == ()
