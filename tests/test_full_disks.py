"""A full disk stops a run with a clear error; once there is room it goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ledger_runs import facts
from long_runs import play_long

from ledger.history import read_history
from ledger.recorder import Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.errors import InputError

NUM_STEPS = 600


def recorder(workspace: Path) -> RunRecorder:
    folder = workspace / ".codemix" / "runs" / "a"
    return RunRecorder(Ledger.open(workspace), folder)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)


def test_a_disk_that_is_full_while_journaling_loses_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    _, straight = play_long(recorder(tmp_path / "large"), num_steps=NUM_STEPS)
    cut = recorder(small_disk)
    with pytest.raises(InputError, match="No space left") as caught:
        play_long(cut, num_steps=NUM_STEPS)
    assert "free space on this disk" in str(caught.value)
    with pytest.raises(InputError, match="No space left"):
        cut.finish(Outcome(status="failed", reason="the disk is full"))
    cut.close()
    journal = small_disk / ".codemix" / "runs" / "a" / "journal.jsonl"
    done = read_history(journal).next_step
    assert 100 < done < NUM_STEPS
    enlarge(small_disk)
    resumed_from = done // 100 * 100
    again = recorder(small_disk)
    _, entry = play_long(
        again,
        num_steps=NUM_STEPS,
        start=resumed_from,
        run_facts=facts(resumed_from),
    )
    same = {"trace", "metrics", "weights_digest", "trace_head"}
    [ours], [theirs] = entry.stages, straight.stages
    assert {name: getattr(ours, name) for name in same} == {
        name: getattr(theirs, name) for name in same
    }
    assert entry.checkpoints == straight.checkpoints
    assert [one.entry.outcome.status for one in Ledger.open(small_disk).entries()] == [
        "completed"
    ]
