"""Preparing takes little memory, however much there is to prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.prepare_memory import MIB, measure


@pytest.mark.slow
def test_two_workers_and_their_parent_stay_below_two_gigabytes(tmp_path: Path) -> None:
    prepared = measure(tmp_path, 60 * 10**6, num_workers=2)["prepare"]
    assert len(prepared["each_mib"]) == 3
    assert min(prepared["each_mib"][:2]) * MIB > 10**8, "seqio was not loaded"
    assert prepared["peak_mib"] * MIB < 2 * 10**9
