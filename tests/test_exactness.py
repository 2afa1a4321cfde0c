"""The same bits on any number of devices, processes and cores, however spread.

Each process has its own devices: XLA's flags are read once, when jax starts.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from exactness_worker import lanes_to_sum
from workers_on_devices import Found, run_workers

WORKER = Path(__file__).with_name("exactness_worker.py")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

WAYS = ("step", "layer", "slices", "replicated")
"""Of laying a state on devices; see `exactness_worker.layout_of`."""

# By host devices: every mesh size, both ways of spreading, both architectures.
QUICK = {
    1: [
        *("sums 1", "operations 1", "parallel 1 step", "sequential 1 layer"),
        "undivided 1 step",
    ],
    2: ["sums 2", "parallel 2 replicated", "tensor 2 step"],
    4: ["sums 4", "parallel 4 layer", "tensor 4 slices"],
    8: [
        "sums 8",
        "operations 8",
        "parallel 8 layer>2.replicated",
        "sequential 8 slices",
    ],
}


@pytest.fixture(scope="module")
def found() -> Found:
    """Results of all quick cases."""
    orders = [{"num_devices": n, "cases": cases} for n, cases in QUICK.items()]
    # One on a single core, the others on all: cores must not matter either.
    orders[0]["cores"] = CORES[:1]
    return {name: v for part in run_workers(WORKER, orders) for name, v in part.items()}


def differences(found: Found, kind: str) -> list[str]:
    """Cases of a kind that differ from the first of them."""
    cases = {name: value for name, value in found.items() if name.startswith(kind)}
    assert len(cases) > 1
    first = next(iter(cases.values()))
    return [name for name, value in cases.items() if value != first]


def test_an_operation_is_split_alike_whatever_the_cores(found: Found) -> None:
    # Turns red without the pinned number of threads: one case has one core.
    assert differences(found, "operations") == []


@pytest.mark.parametrize("kind", ["parallel", "sequential", "tensor"])
def test_training_gives_the_same_bits_on_any_devices(found: Found, kind: str) -> None:
    assert differences(found, kind) == []


def test_a_sum_over_lanes_is_the_documented_tree_on_any_devices(found: Found) -> None:
    lanes = lanes_to_sum()
    in_order = lanes[0]
    for lane in lanes[1:]:
        in_order = in_order + lane
    while len(lanes) > 1:
        lanes = lanes[0::2] + lanes[1::2]
    assert in_order.tobytes() != lanes.tobytes(), (
        "these numbers can't tell orders apart"
    )
    expected = lanes[0].tobytes().hex()
    wrong = [n for n, value in found.items() if n[:4] == "sums" and value != expected]
    assert wrong == []


def test_a_stage_is_traced_once(found: Found) -> None:
    traces = {
        name: v["num_traces"]
        for name, v in found.items()
        if ">" not in name and "trace" in str(v)
    }
    assert set(traces.values()) == {1}, traces


def test_two_processes_train_as_one_does(found: Found) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    order = {
        "num_devices": 2,
        "num_processes": 2,
        "coordinator": f"127.0.0.1:{port}",
        "cases": ["parallel 4 layer"],
    }
    first, _ = run_workers(
        WORKER, [{**order, "process": process} for process in (0, 1)]
    )
    assert first["parallel 4 layer"] == found["parallel 4 layer"]


def test_devices_that_share_products_train_the_same_model(found: Found) -> None:
    ours, theirs = (
        np.array(
            [[float.fromhex(x) for x in step[1:]] for step in found[case]["trace"]]
        )
        for case in ("tensor 2 step", "undivided 1 step")
    )
    # The same sums in another order, in float32, over four steps.
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert found["tensor 2 step"]["trace"] != found["undivided 1 step"]["trace"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["quickstart", "sequential", "remat"])
def test_every_number_of_devices_and_cores_gives_the_same_bits(kind: str) -> None:
    found: Found = {}
    for num_devices in (1, 2, 4, 8):
        for cores in (CORES[:1], CORES):
            ways = [way for way in WAYS if num_devices > 1 or way != "slices"]
            cases = [f"{kind} {num_devices} {way}" for way in ways]
            order = {"num_devices": num_devices, "cores": cores, "cases": cases}
            (part,) = run_workers(WORKER, [order])
            found |= {f"{name} on {len(cores)} cores": v for name, v in part.items()}
    assert differences(found, kind) == []


@pytest.mark.slow
def test_a_checkpoint_of_each_layout_is_resumed_by_each_other(found: Found) -> None:
    layouts = {"1": "step", "2": "layer", "4": "slices", "8": "replicated"}
    cases = [
        f"parallel {ours} {layouts[ours]}>{theirs}.{layouts[theirs]}"
        for ours in layouts
        for theirs in layouts
        if ours != theirs
    ]
    (resumed,) = run_workers(WORKER, [{"num_devices": 8, "cases": cases}])
    straight = found["parallel 1 step"]
    assert [case for case in cases if resumed[case]["trace"] != straight["trace"]] == []
    wrong = [case for case in cases if resumed[case]["digests"] != straight["digests"]]
    assert wrong == []


def test_these_cases_can_differ(found: Found) -> None:
    """The comparison sees numbers: another architecture gives others."""
    ours, others = found["parallel 1 step"], found["sequential 1 layer"]
    assert ours["trace"] != others["trace"]
    assert len({weights for weights, _, _ in ours["trace"]}) == 4
    assert all(np.isfinite(float.fromhex(loss)) for _, loss, _ in ours["trace"])
