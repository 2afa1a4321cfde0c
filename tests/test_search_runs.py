"""A search goes on after a kill to the trials that it would have made anyway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_workspace import assert_rebuilt, codemix, entry_of, make_run_workspace
from studies import (
    add_experiment,
    fresh_study,
    kill_study,
    start_study,
    trained_steps,
    wait_for_steps,
)

pytestmark = pytest.mark.timeout(1800)

STUDY = """
study: 1
name: study
scores: {loss: {suite: heldout, metric: prose.bits_per_byte, better: lower}}
search:
  experiment: base
  objective: {score: loss}
  weights: {stages.2.mixture.code: [0, 60]}
"""

SHARED_STEPS = 5 + 8
OWN_STEPS = 3


@pytest.mark.e2e
def test_a_search_that_was_killed_comes_to_the_same_trials(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    base = json.loads(make_run_workspace(folder).read_text())
    (folder / "study").mkdir()
    add_experiment(folder, "base", base)
    (folder / "study" / "study.yaml").write_text(STUDY)
    code, told, stderr = codemix(folder, "study", "study", "--search", "2")
    assert code == 0, stderr
    assert len(told["trials"]) == 2
    assert told["best"]["objective"] == min(one["objective"] for one in told["trials"])
    # Stages before the one that is varied are trained once.
    assert trained_steps(folder) == SHARED_STEPS + 2 * OWN_STEPS

    killed = fresh_study(folder, tmp_path / "killed")
    process = start_study(killed, "--search", "2")
    wait_for_steps(killed, SHARED_STEPS - 2, process)
    kill_study(killed, process, with_jobs=True)
    code, first, stderr = codemix(killed, "study", "study", "--search", "1")
    assert code == 0, stderr
    code, second, stderr = codemix(killed, "study", "study", "--search", "1")
    assert code == 0, stderr
    assert first["trials"][0]["name"] in {one["name"] for one in told["trials"]}
    assert trained_steps(killed) == SHARED_STEPS + 2 * OWN_STEPS
    for ours, theirs in zip(second["trials"], told["trials"], strict=True):
        assert (ours["name"], ours["objective"]) == (
            theirs["name"],
            theirs["objective"],
        )
        assert_rebuilt(
            entry_of(killed, ours["entry"]), entry_of(folder, theirs["entry"])
        )
    code, verdict, _ = codemix(folder, "reproduce", told["best"]["entry"])
    assert (code, verdict["grade"]) == (0, "EXACT")
