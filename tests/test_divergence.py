"""Whatever is disturbed in a replay, its step and its cause are named."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT
from run_workspace import environment

pytestmark = pytest.mark.slow

Told = dict[str, Any]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The verdicts of all disturbed replays, by a process of their own."""
    import os
    import random

    given = os.environ.get("CODEMIX_TEST_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(2**32)
    print(f"CODEMIX_TEST_SEED={seed}")  # noqa: T201  shown by pytest on failure only
    folder = tmp_path_factory.mktemp("divergence") / "workspace"
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "divergence_worker.py"),
            folder,
            str(seed),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture
def plain(campaign: Told) -> Told:
    """The verdicts on the run that was not disturbed itself."""
    found: Told = campaign["plain"]
    return found


def assert_diverged(found: Told, channel: str, cause: str) -> None:
    assert (found["grade"], found["first_step"]) == ("DIVERGED", found["at"]), found
    assert (found["channel"], found["cause"]) == (channel, cause), found["what"]


def test_a_replay_that_nobody_disturbs_is_exact(plain: Told) -> None:
    assert plain["nothing"]["grade"] == "EXACT", plain["nothing"]["what"]
    assert plain["nothing"]["compared"]["initial"] == {"same": 10, "total": 10}


def test_a_flipped_bit_of_a_weight_is_arithmetic_at_its_step(plain: Told) -> None:
    assert_diverged(plain["weight"], "weights", "arithmetic")
    assert "block.attn.q" in plain["weight"]["tensors"]


def test_the_lowest_bit_of_a_weight_is_within_a_tolerance(plain: Told) -> None:
    found = plain["slightly"]
    assert found["grade"] == "EQUIVALENT", found["what"]
    assert found["first_bit_step"] == found["at"]
    assert "block.attn.q" in found["tensors"]
    assert float(found["tolerance"]["furthest"]["distance"]) < 0.01


def test_other_initial_weights_are_named_before_the_first_step(plain: Told) -> None:
    assert_diverged(plain["initial"], "weights", "initialisation")
    assert "embed" in plain["initial"]["tensors"]
    # Norms begin with ones, whatever the seed.
    assert "final_norm" not in plain["initial"]["tensors"]


def test_another_learning_rate_is_told_from_arithmetic(plain: Told) -> None:
    assert_diverged(plain["learning rate"], "weights", "learning rate")


def test_another_order_says_where_the_batch_was(plain: Told) -> None:
    found = plain["order"]
    other = {4: 3, 12: 11, 15: 14}.get(found["at"], found["at"] + 1)
    found["at"] = min(found["at"], other)
    assert_diverged(found, "batch", "input pipeline")
    then = max(found["first_step"], other) if found["at"] == other else other
    told = " ".join(found["details"])
    assert f"the original had this batch at step {max(then, other)}" in told


def test_another_token_is_named_with_its_source_and_place(plain: Told) -> None:
    found = plain["token"]
    assert found["first_step"] <= found["at"]
    found["at"] = found["first_step"]
    assert_diverged(found, "batch", "input pipeline")
    told = " ".join(found["details"])
    assert "the token store of source" in told
    assert "one token differs: sequence" in told


def test_another_library_is_the_first_suspect(plain: Told) -> None:
    assert_diverged(plain["library"], "weights", "arithmetic")
    first = plain["library"]["differences"][0]
    assert first["path"] == "environment.distributions.jaxlib"
    assert first["now"] == "0.0.1"


def test_an_audit_that_nobody_disturbs_covers_what_it_says(plain: Told) -> None:
    found = plain["audit"]
    assert found["grade"] == "AUDITED", found["what"]
    audit = found["audit"]
    assert audit["covered_steps"] == found["compared"]["steps"]["same"] == 16
    assert all(one["is_to_checkpoint"] for one in audit["windows"])


def test_an_audit_names_the_step_of_a_flipped_weight(plain: Told) -> None:
    assert_diverged(plain["audited weight"], "weights", "arithmetic")


def test_a_flipped_bit_of_a_checkpoint_is_found_by_an_audit(plain: Told) -> None:
    found = plain["bit of a checkpoint"]
    assert_diverged(found, "tensors", "checkpoint")
    assert "row 0 of embed" in found["what"]


def test_a_forged_checkpoint_is_found_and_its_tensors_named(plain: Told) -> None:
    assert_diverged(plain["forged checkpoint"], "tensors", "checkpoint")
    assert plain["forged checkpoint"]["tensors"] == ["embed"]


def test_a_run_that_went_on_from_another_state_is_a_matter_of_the_seam(
    campaign: Told,
) -> None:
    assert_diverged(campaign["seam"], "weights", "resume seam")
