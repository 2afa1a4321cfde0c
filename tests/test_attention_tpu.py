"""Attention as the TPU compiler takes it; needs the extra `tpu`, and no TPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).resolve().parent / "attention_worker.py"

# Topology, heads, key-value heads, head width, length, whether documents matter.
CASES = [
    ("v5e:2x2", 16, 16, 64, 8192, False),
    ("v5e:2x2", 20, 20, 128, 8192, False),
    ("v5e:2x2", 20, 4, 128, 8192, True),
    ("v4:2x2x1", 20, 20, 128, 8192, True),
    ("v5p:2x2x1", 20, 20, 128, 8192, True),
    ("v6e:2x2", 20, 20, 128, 8192, True),
    ("v5e:2x2", 4, 4, 8, 128, True),
    ("v5e:2x2", 4, 2, 80, 8320, False),
    ("v5e:2x2", 4, 1, 256, 2048, True),
]


@pytest.mark.tpu
def test_splash_compiles_for_tpus_and_keeps_no_scores() -> None:
    names = ("topology", "heads", "kv_heads", "head_width", "length", "masked")
    cases: list[dict[str, Any]] = [dict(zip(names, c, strict=True)) for c in CASES]
    done = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(cases)],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    for case, found in zip(cases, json.loads(done.stdout), strict=True):
        sys.stdout.write(f"{case}: {found}\n")
        kind = "splash_mha_{}" + ("_segmented" if case["masked"] else "")
        assert found["kernels"] == [
            f"{kind.format(phase)}_{rest}"
            for phase, rest in (
                ("dkv", "no_residuals"),
                ("dq", "no_residuals"),
                ("fwd", "residuals"),
            )
        ]
        if case["length"] >= 8192:
            scores_bytes = 4 * case["heads"] * case["length"] ** 2
            assert found["peak_bytes"] < scores_bytes / 10
