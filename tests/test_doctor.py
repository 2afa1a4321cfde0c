"""What `codemix doctor` sees of a machine, its services, and what a spec needs."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from sandboxes import require_sandbox
from test_architecture import loaded_by
from test_cli_commands import SPEC, codemix

from runtime import doctor_machine, doctor_spec
from runtime.doctor import examine
from runtime.doctor_machine import machine_findings
from runtime.finding import Finding
from runtime.sandbox.probe import probe

BIG = SPEC.replace("{preset: debug}", "{preset: 470m}")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that runs the test is in the way."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # jax may have started in this process, with whatever another test needed.
    monkeypatch.setattr("runtime.devices.configure", lambda *_: None)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / ".dvc").mkdir(parents=True)
    return folder


def found(findings: Sequence[Finding], name: str) -> Finding:
    (one,) = [one for one in findings if one.name == name]
    return one


def of_spec(text: str, workspace: Path) -> tuple[Finding, ...]:
    spec = workspace / "tiny.yaml"
    spec.write_text(text)
    return examine(workspace, spec=spec)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XLA_FLAGS", "--xla_allow_excess_precision=true"),
        ("XLA_FLAGS", "--xla_gpu_deterministic_ops=false"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=16"),
        ("JAX_DEFAULT_MATMUL_PRECISION", "bfloat16"),
    ],
)
def test_a_variable_that_weakens_exact_mode_is_bad(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert found(machine_findings(None), "exactness").ok
    monkeypatch.setenv(name, value)
    bad = found(machine_findings(None), "exactness")
    assert not bad.ok
    assert bad.fix is not None


def test_a_dvc_remote_that_is_not_there_is_bad(workspace: Path) -> None:
    (workspace / "store").mkdir()
    port = closed_port()
    (workspace / ".dvc" / "config").write_text(
        "[core]\n    remote = here\n['remote \"here\"']\n    url = ../store\n"
        "['remote \"gone\"']\n    url = ../gone\n"
        f"['remote \"web\"']\n    url = http://me:secret@127.0.0.1:{port}/x\n"
    )
    remotes = [one for one in machine_findings(workspace) if one.name == "dvc remote"]
    told = {one.found.split(":")[0]: one for one in remotes}
    assert {name: one.ok for name, one in told.items()} == {
        "here": True,
        "gone": False,
        "web": False,
    }
    assert "secret" not in told["web"].found
    assert all(one.ok or one.fix for one in remotes)


def test_mlflow_is_asked_whether_it_listens(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert found(machine_findings(workspace), "mlflow").found.endswith("reachable")
    gone = found(machine_findings(workspace), "mlflow")
    assert "not reachable" in gone.found
    # A run loses nothing by it.
    assert gone.ok
    assert gone.fix is not None


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo bubblewrap 0.6.1", "none: bubblewrap is 0.6.1"),
        ("exit 1", "none: bubblewrap is of unknown version"),
        (
            "test $1 != --version || exec echo bubblewrap 0.8.0\n"
            "echo no namespaces >&2; exit 1",
            "does not hold here: no namespaces",
        ),
    ],
)
def test_a_sandbox_that_does_not_hold_is_said(
    monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setattr(doctor_machine, "probe", probe.__wrapped__)
    # Not in pytest's folder, which only root may enter: bubblewrap is not run as root.
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "bwrap"
        program.write_text(f"#!/bin/sh\n{script}\n")
        for path in (program, program.parent):
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")
        sandbox = found(machine_findings(None), "sandbox")
    assert told in sandbox.found
    assert sandbox.fix is not None


def test_a_sandbox_that_holds_is_told_with_its_python() -> None:
    facts = require_sandbox().facts
    sandbox = found(machine_findings(None), "sandbox")
    assert facts.python in sandbox.found
    assert sandbox.fix is None


def test_processes_without_a_meeting_place_are_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert found(machine_findings(None), "processes").ok
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    assert not found(machine_findings(None), "processes").ok


def test_a_spec_that_fits_has_no_bad_finding(workspace: Path) -> None:
    findings = of_spec(SPEC, workspace)
    named = {one.name: one for one in findings}
    for name in (
        "readers",
        "disk of the run",
        "devices",
        "lanes",
        "memory of a device",
    ):
        assert named[name].ok, named[name]
    assert named["lock"].fix == f"codemix pin {workspace / 'tiny.yaml'}"
    assert named["prepared"].fix == f"codemix prepare {workspace / 'tiny.yaml'}"


def test_a_model_that_does_not_fit_is_bad_and_says_what_would_help(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_spec, "memory_bytes", lambda: (2**32, 2**32))
    memory = found(of_spec(BIG, workspace), "memory of a device")
    assert not memory.ok
    assert "parallel.gather" in str(memory.fix)


def test_checkpoints_that_do_not_fit_the_disk_are_bad(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 2**20

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert not found(of_spec(BIG, workspace), "disk of the run").ok
    in_bucket = BIG + 'checkpoints: {location: "s3://bucket/runs"}\n'
    assert found(of_spec(in_bucket, workspace), "disk of the run").ok


def test_a_reader_that_is_not_installed_is_named_with_its_fix(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_spec, "_READERS", {".txt": "no_such_reader"})
    readers = found(of_spec(SPEC, workspace), "readers")
    assert not readers.ok
    assert readers.fix == "make setup, or pip install no_such_reader"


@pytest.mark.parametrize("change", ['"a.arrow"', '"data/*", format: arrow'])
def test_arrow_files_need_pyarrow(workspace: Path, change: str) -> None:
    readers = found(of_spec(SPEC.replace('"data/*.txt"', change), workspace), "readers")
    assert "pyarrow" in readers.found


def test_devices_without_enough_lanes_are_told(workspace: Path) -> None:
    import jax

    one_lane = SPEC.replace("length: 32", "length: 32, lane: 4")
    lanes = found(of_spec(one_lane, workspace), "lanes")
    assert lanes.ok
    assert (lanes.fix is not None) == (jax.device_count() > 1)


def test_a_wrong_spec_is_its_own_error(workspace: Path) -> None:
    spec = workspace / "wrong.yaml"
    spec.write_text(SPEC.replace("seed", "sead"))
    assert codemix("doctor", str(spec)).exit_code == 3
    assert codemix("doctor", str(workspace / "none.yaml")).exit_code in (3, 4)


def test_jax_is_loaded_only_when_it_is_asked_for() -> None:
    loaded = loaded_by(
        "from runtime.doctor import examine\nfrom pathlib import Path\nexamine(Path())"
    )
    assert not loaded & {"jax", "dvc", "mlflow", "seqio", "tensorflow"}
