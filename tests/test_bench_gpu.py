"""The script for a GPU, as far as it can be tried without one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from imports import ROOT

sys.path.insert(0, str(ROOT))

from bench import gpu
from bench.gpu_peers import TOKENS_PER_STEP, build_plan
from specs.costs import flops_per_token


@pytest.mark.parametrize("model", TOKENS_PER_STEP)
@pytest.mark.parametrize("length", [64, 2048, 8192])
def test_every_model_is_planned_at_every_length(model: str, length: int) -> None:
    stage = build_plan(model, length, "block", "exact").stages[0]
    assert stage.remat == "block"
    assert stage.sequence_length == length
    assert stage.num_lanes == 1


def test_utilisation_is_by_the_formula_that_is_stated() -> None:
    model = build_plan("2.8b", 2048, "none", "exact").model
    width, ffn_width, layers = model.width, model.ffn_width, model.layers
    matrices = layers * (4 * width * width + 3 * width * ffn_width)
    tables = model.vocab_size * width
    attention = 12 * layers * width * 2048
    assert flops_per_token(model, 2048) == 6 * (matrices + tables) + attention


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_the_peak_is_the_datasheets(device: str, peak: float | None) -> None:
    assert gpu.peak_flops(device) == peak


def test_a_peer_that_does_not_run_is_told_and_not_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours = {
        "seconds": 0.5,
        "tokens_per_second": 131_072.0,
        "utilisation": 0.5,
        "peak_gib": 40.0,
        "saving": "none",
        "num_steps": 4,
    }
    gpu.print_table("470m at 2048", {"codemix": ours, "torch-flash": _NONE}, "X")
    told = capsys.readouterr().out
    assert "| codemix | 0.500 | 131,072 | 50.0% | 40.0 | none |" in told
    assert "| torch-flash | does not run |" in told
    assert "against" not in told


_NONE = {"saving": None}


@pytest.mark.slow
def test_the_script_measures_a_tiny_model_without_a_gpu() -> None:
    arguments = ["--models", "tiny", "--lengths", "64", "--rounds", "1", "--steps", "1"]
    done = subprocess.run(
        [sys.executable, "bench/gpu.py", *arguments, "--peers", "codemix", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)["results"]["tiny at 64"].values()
    assert figures["saving"] == "none"
    assert figures["tokens_per_second"] > 0
