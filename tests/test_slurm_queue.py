"""What is read from Slurm's programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.study.slurm_queue import Queued, accounted, queue
from specs.errors import InputError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def write(programs: Path, name: str, told: str, code: int = 0) -> None:
    program = programs / name
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\nexit {code}\n")
    program.chmod(0o755)


def test_the_queue_is_read_in_the_order_of_numbers(programs: Path) -> None:
    write(programs, "squeue", "10|PENDING|ab\n9|COMPLETED|cd\n11|NODE_FAIL|(null)")
    found = queue()
    assert found[1] == Queued("10", "PENDING", "ab")
    assert [one.id for one in found] == ["9", "10", "11"]
    assert [one.is_over for one in found] == [True, False, True]


def test_a_slurm_that_does_not_answer_is_told(programs: Path) -> None:
    write(programs, "squeue", "", code=1)
    with pytest.raises(InputError, match="Slurm does not answer"):
        queue()


def test_only_jobs_of_the_name_count_as_ours(programs: Path) -> None:
    write(programs, "sacct", "7|CANCELLED by 0|s/a\n8|COMPLETED|other\n9|FAILED|s/c")
    assert accounted({"7": "s/a", "8": "s/b", "9": "s/c"}) == {
        "7": "CANCELLED",
        "9": "FAILED",
    }
    write(programs, "sacct", "Slurm accounting storage is disabled", code=1)
    assert accounted({"7": "s/a"}) == {}
    assert accounted({}) == {}
