"""A study trains each shared stage once, whatever happens to it on its way."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from run_workspace import assert_rebuilt, codemix, entry_of, evidence, stage
from studies import (
    EXPERIMENTS,
    FIRST,
    OTHER_END,
    THIRD,
    UNIQUE_STEPS,
    add_experiment,
    entries_of,
    fresh_study,
    kill_study,
    make_study,
    run_study,
    start_study,
    trained_steps,
    wait_for_steps,
)
from test_killed_runs import wait_for

pytestmark = pytest.mark.timeout(1800)

Done = tuple[Path, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A workspace with a study that was run undisturbed, and its entries."""
    folder = tmp_path_factory.mktemp("study") / "workspace"
    make_study(folder)
    told, _ = run_study(folder)
    return folder, entries_of(folder, told)


@pytest.mark.e2e
def test_each_shared_stage_is_trained_once_to_the_bits_of_a_run_alone(
    done: Done, tmp_path: Path
) -> None:
    folder, entries = done
    assert set(entries) == set(EXPERIMENTS)
    assert trained_steps(folder) == UNIQUE_STEPS
    # By its own spec, as its author would run it, and without all others.
    alone = fresh_study(folder, tmp_path / "alone")
    code, told, stderr = codemix(alone, "run", "study/beta.yaml")
    assert code == 0, stderr
    ours = entries["beta"]
    theirs = entry_of(alone, told["entry"])
    taken = [one["reused_from"] is not None for one in ours["stages"]]
    assert taken == [True, True, False]
    assert ours["identity"] == theirs["identity"]
    # Checkpoints within stages are with the run that trained them.
    for part in ("stages", "scores"):
        assert evidence(ours)[part] == evidence(theirs)[part]
    code, verdict, _ = codemix(folder, "reproduce", "beta")
    assert (code, verdict["grade"]) == (0, "EXACT")

    # The same command once more finds everything, as --plan tells.
    told, stderr = run_study(folder)
    assert all(job["is_kept"] for job in told["jobs"])
    assert " running" not in stderr
    code, plan, _ = codemix(folder, "study", "study", "--plan")
    assert (code, plan["totals"]["to_do"]["steps"]) == (0, 0)
    assert plan["totals"]["shared"]["steps"] == UNIQUE_STEPS
    assert all(one["entry"] for one in plan["stages"])


@pytest.mark.slow
def test_jobs_at_once_come_to_the_same_entries(done: Done, tmp_path: Path) -> None:
    folder = fresh_study(done[0], tmp_path / "two")
    told, _ = run_study(folder, "--jobs", "2")
    found = entries_of(folder, told)
    assert {name: evidence(one) for name, one in found.items()} == {
        name: evidence(one) for name, one in done[1].items()
    }
    assert trained_steps(folder) == UNIQUE_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_study_killed_at_random_moments_ends_as_if_it_was_not(
    done: Done, tmp_path: Path, number: int, seed: int
) -> None:
    moment = random.Random(seed + number)
    folder = fresh_study(done[0], tmp_path / "killed")
    for _ in range(2):
        process = start_study(folder, "--jobs", str(1 + number % 2))
        wait_for_steps(folder, moment.randrange(UNIQUE_STEPS), process)
        time.sleep(moment.uniform(0, 2))
        # Its jobs live on, or die with it.
        kill_study(folder, process, with_jobs=number > 0)
    told, _ = run_study(folder)
    found = entries_of(folder, told)
    assert set(found) == set(EXPERIMENTS)
    for name, entry in found.items():
        assert_rebuilt(entry, done[1][name])
    assert trained_steps(folder) == UNIQUE_STEPS


@pytest.mark.slow
def test_a_study_that_is_asked_to_stop_saves_all_runs(
    done: Done, tmp_path: Path
) -> None:
    folder = fresh_study(done[0], tmp_path / "stopped")
    process = start_study(folder)
    wait_for(folder / ".codemix" / "runs", "*/checkpoints/00000003/*.json", process)
    code, told, _ = codemix(folder, "study", "study")
    assert code == 4
    assert "another process is working on this study" in told["problems"][0]["what"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) == 75
    lines = (folder / ".codemix/studies/study/journal.jsonl").read_text().splitlines()
    states = {json.loads(line)["state"] for line in lines}
    assert states <= {"running", "done", "stopped"}
    assert trained_steps(folder) < UNIQUE_STEPS
    told, _ = run_study(folder)
    for name, entry in entries_of(folder, told).items():
        assert_rebuilt(entry, done[1][name])
    assert trained_steps(folder) == UNIQUE_STEPS


@pytest.mark.slow
def test_an_experiment_that_fails_stops_only_what_waits_for_it(
    done: Done, tmp_path: Path
) -> None:
    folder = fresh_study(done[0], tmp_path / "failing")
    steep = stage(
        "steep", 768, {"schedule": "constant", "peak": 1e38}, optimizer="keep"
    )
    add_experiment(folder, "steep", stages=[FIRST, steep])
    add_experiment(folder, "steeper", stages=[FIRST, steep, THIRD])
    for name in ("alpha", "delta"):
        (folder / "study" / f"{name}.yaml").unlink()
    told, stderr = run_study(folder, code=1)
    states = {one["job"]: one["state"] for one in told["jobs"]}
    assert states.pop("steep") == "failed"
    assert states.pop("steeper") == "blocked"
    assert set(states.values()) == {"done"}
    failed = next(one for one in told["jobs"] if one["job"] == "steep")
    assert "not finite" in failed["reason"]
    assert failed["reason"] in (folder / failed["log"]).read_text()
    assert "steeper  blocked by steep" in stderr
    found = entries_of(folder, told)
    assert set(found) == {"beta", "gamma"}
    for name, entry in found.items():
        assert entry["stages"][-1]["name"] == OTHER_END["name"]
        theirs = done[1][name]["stages"][-1]["weights_digest"]
        assert entry["stages"][-1]["weights_digest"] == theirs
