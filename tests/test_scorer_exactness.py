"""The same answers and the same bits of losses on any number of devices.

Each process has its own devices: XLA's flags are read once, when jax starts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_processes import free_port
from workers_on_devices import Found, run_workers

WORKER = Path(__file__).with_name("scoring_worker.py")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def found_for(cases: dict[int, list[str]]) -> Found:
    """Ask by number of host devices, with one device on a single core."""
    orders = [{"num_devices": n, "cases": names} for n, names in cases.items()]
    orders[0]["cores"] = CORES[:1]
    return {name: v for part in run_workers(WORKER, orders) for name, v in part.items()}


def differences(found: Found, kind: str) -> list[str]:
    """Cases of a kind that differ from the first of them, and in what."""
    cases = {name: value for name, value in found.items() if name.startswith(kind)}
    assert len(cases) > 1
    first = next(iter(cases.values()))
    return [
        f"{name}: {part}"
        for name, value in cases.items()
        for part in first
        if value[part] != first[part]
    ]


@pytest.fixture(scope="module")
def found() -> Found:
    """Results of the quick cases."""
    return found_for({1: ["parallel 1 step"], 4: ["parallel 4 layer"]})


def test_losses_and_answers_are_the_same_on_any_devices(found: Found) -> None:
    assert differences(found, "parallel") == []


def test_these_cases_can_differ(found: Found) -> None:
    one = found["parallel 1 step"]
    assert len(set(one["losses"])) == 100
    assert one["greedy"] != one["drawn"]
    assert len({tuple(answer) for answer in one["drawn"]}) > 60
    assert len({len(answer) for answer in one["drawn"]}) > 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parallel", "sequential", "shared"])
def test_every_way_to_lay_weights_gives_the_same(kind: str) -> None:
    found = found_for(
        {
            1: [f"{kind} 1 step"],
            2: [f"{kind} 2 layer", f"{kind} 2 step"],
            4: [f"{kind} 4 step", f"{kind} 4 slices"],
            8: [f"{kind} 8 layer", f"{kind} 8 step"],
        }
    )
    assert differences(found, kind) == []


@pytest.mark.slow
def test_devices_that_share_products_give_the_same_on_any_number() -> None:
    found = found_for(
        {2: ["tensor 2 step"], 4: ["tensor 4 step"], 8: ["tensor 8 layer"]}
    )
    assert differences(found, "tensor") == []


@pytest.mark.slow
def test_two_processes_are_answered_as_one_is(found: Found) -> None:
    order = {
        "num_devices": 2,
        "num_processes": 2,
        "coordinator": f"127.0.0.1:{free_port()}",
        "cases": ["parallel 4 layer"],
    }
    parts = run_workers(WORKER, [{**order, "process": process} for process in (0, 1)])
    assert parts == [{"parallel 4 layer": found["parallel 4 layer"]}] * 2
