from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import plans
import pytest

from runtime import devices
from runtime.mesh import choose_num_devices
from specs.errors import InputError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without flags, as if jax had not started; undone afterwards."""
    for name in ("XLA_FLAGS", "PJRT_NPROC"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(devices, "_is_jax_started", lambda: False)


def test_exact_pins_what_decides_bits_on_a_cpu() -> None:
    devices.configure("exact", 4)
    flags = devices.xla_flags()
    assert flags["--xla_force_host_platform_device_count"] == "4"
    assert flags["--xla_allow_excess_precision"] == "false"
    assert flags["--xla_gpu_deterministic_ops"] == "true"
    assert os.environ["PJRT_NPROC"] == str(devices.THREADS)


def test_the_threads_of_an_operation_never_follow_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = set()
    for cores in (1, 2, 64):
        monkeypatch.delenv("XLA_FLAGS", raising=False)
        monkeypatch.setattr(devices, "_visible_cores", lambda n=cores: set(range(n)))
        devices.configure("exact")
        num_devices = devices.xla_flags()["--xla_force_host_platform_device_count"]
        found.add((os.environ["PJRT_NPROC"], int(num_devices) <= devices.THREADS))
    assert found == {(str(devices.THREADS), True)}


def test_each_core_gets_a_device_up_to_a_power_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "_visible_cores", lambda: set(range(6)))
    devices.configure("exact")
    assert devices.xla_flags()["--xla_force_host_platform_device_count"] == "4"


def test_flags_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2 --other")
    devices.configure("exact", 8)
    flags = devices.xla_flags()
    assert flags["--xla_force_host_platform_device_count"] == "2"
    assert flags["--other"] == "true"


def test_more_host_devices_than_threads_would_change_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices.configure("exact", 64)
    flag = "--xla_force_host_platform_device_count"
    assert devices.xla_flags()[flag] == str(devices.THREADS)
    monkeypatch.setenv("XLA_FLAGS", f"{flag}=16")
    with pytest.raises(InputError, match="at most 8 host devices"):
        devices.configure("exact")


def test_flags_that_decide_bits_are_told_from_those_that_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for flags in ("", "--xla_dump_to=x", "--xla_cpu_enable_fast_math=true"):
        monkeypatch.setenv("XLA_FLAGS", flags)
        devices.configure("exact", 1 + len(found))
        found.append(devices.deciding_settings())
    assert found[0] == found[1] != found[2]


def test_fast_leaves_the_machine_alone() -> None:
    devices.configure("fast")
    assert devices.xla_flags() == {}
    assert "PJRT_NPROC" not in os.environ


def test_a_replay_pins_the_instruction_set_of_the_original(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    devices.configure("exact", 1, isa="AVX512")
    assert devices.xla_flags()["--xla_cpu_max_isa"] == "AVX512"


def test_jax_that_started_with_other_flags_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "_is_jax_started", lambda: True)
    with pytest.raises(InputError, match="jax has started already"):
        devices.configure("exact", 2)


@pytest.mark.parametrize(
    ("available", "lanes", "accumulation", "expected"),
    [(1, 8, 1, 1), (6, 8, 1, 4), (64, 8, 1, 8), (8, 8, 4, 2), (3, 1, 1, 1)],
)
def test_as_many_devices_as_lanes_and_a_power_of_two(
    available: int, lanes: int, accumulation: int, expected: int
) -> None:
    stage = plans.stage(sequences_per_step=lanes, accumulation=accumulation)
    assert choose_num_devices(plans.plan(stage), available) == expected


def test_the_stage_with_the_fewest_lanes_decides() -> None:
    plan = plans.plan(
        plans.stage("first", 0, 2),
        plans.stage("last", 2, 4, sequences_per_step=2),
    )
    assert choose_num_devices(plan, 8) == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(3, "power of two, got 3"), (16, "there are 8"), (8, "has lanes for 4")],
)
def test_a_wrong_number_of_devices_is_refused(wanted: int, message: str) -> None:
    plan = plans.plan(plans.stage(sequences_per_step=4))
    with pytest.raises(InputError, match=message):
        choose_num_devices(plan, 8, wanted)


def test_the_description_is_json_and_names_what_decides_bits() -> None:
    script = (
        "import json\nfrom runtime import devices\n"
        "devices.configure('exact', 2)\nprint(json.dumps(devices.describe()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["platform"], found["num_devices"]) == ("cpu", 2)
    assert found["cpu_threads"] == str(devices.THREADS)
    assert found["cpu_isa"] == found["xla_flags"].get("--xla_cpu_max_isa")
    assert {"jax", "jaxlib", "kind", "num_processes", "cpu"} <= set(found)
