"""What `show` draws and tells of an entry: curves, borders, tags, notes, signatures."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import ledger_runs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_cli_commands import as_json, codemix

from codemix_cli import spark
from codemix_cli.spark import BLOCKS, sparkline
from ledger.curves import Points, draw_curve, entry_curves
from ledger.run_recorder import RunRecorder
from ledger.series import encode_series
from ledger.store import Ledger

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    (tmp_path / ".dvc").mkdir()
    ledger = Ledger.open(tmp_path)
    ledger_runs.play(RunRecorder(ledger, tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    return ledger


@given(
    st.lists(st.floats() | st.none(), max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
    st.booleans(),
)
def test_a_sparkline_has_a_mark_per_number_and_per_border(values, borders, is_ascii):
    drawn = sparkline(values, borders=borders, is_ascii=is_ascii)
    num_borders = len({at for at in borders if 0 < at < len(values)})
    assert len(drawn) == len(values) + num_borders
    assert drawn.isascii() or not is_ascii
    marks = [char for char in drawn if char not in "\u2502|"]
    finite = [one for one in values if one is not None and math.isfinite(one)]
    for value, mark in zip(values, marks, strict=True):
        if value is None:
            assert mark == " "
        elif not math.isfinite(value):
            assert mark == "!"
        elif min(finite) < max(finite) and not is_ascii:
            assert (value == max(finite)) <= (mark == BLOCKS[-1])
            assert (value == min(finite)) <= (mark == BLOCKS[0])


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50),
    st.integers(1, 60),
)
@example(values=[sys.float_info.max] * 3, width=1)
def test_a_curve_stays_between_its_least_and_greatest_point(values, width):
    points = Points(list(range(len(values))), values)
    curve = draw_curve("a", points, num_steps=len(values), width=width)
    assert curve.least is not None
    assert curve.least[1] == min(values)
    assert values[curve.least[0]] == min(values)
    assert curve.last == (len(values) - 1, values[-1])
    assert len(curve.bins) == width
    for one in curve.bins:
        assert one is not None
        assert min(values) <= one or math.isclose(one, min(values))
        assert one <= max(values) or math.isclose(one, max(values))
    if width == len(values):
        assert curve.bins == tuple(values)


def test_curves_are_of_the_whole_run_with_the_borders_of_its_stages(ledger):
    entry = ledger.find("made-up").entry
    told = entry_curves(entry, ledger.objects)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["stages"], told["borders"]) == (["balanced", "text"], [0, 8])
    loss, odd, score = told["curves"]
    assert [one["name"] for one in (loss, odd, score)] == [
        "loss",
        "odd",
        "heldout/text.bits_per_byte",
    ]
    # Logged at even steps; what lies between goes on.
    assert loss["bins"] == [4.0 / (step - step % 2 + 3) for step in range(12)]
    assert (loss["least"], loss["least_step"]) == (repr(4.0 / 13), 10)
    assert odd["bins"][:4] == ["nan", "nan", "inf", "inf"]
    assert score["bins"] == [None] * 8 + [0.25] * 3 + [2.0 / 12]


def test_show_draws_blocks_or_ascii(ledger, monkeypatch):
    shown = codemix("ledger", "show", "made-up").stdout
    [line] = [one for one in shown.splitlines() if one.startswith("loss")]
    assert "\u2588\u2588" in line
    assert "\u2502" in line
    assert line.split()[-4:] == ["0.30769", "at", "10", "0.30769"]
    monkeypatch.setattr(spark, "has_blocks", lambda: False)
    shown = codemix("ledger", "show", "made-up").stdout
    assert shown.isascii()
    assert "##" in shown


def test_a_terminal_without_unicode_gets_ascii(ledger):
    script = "from codemix_cli.main import cli; cli(prog_name='codemix')"
    shown = subprocess.run(
        [sys.executable, "-c", script, "ledger", "show", "made-up"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"##" in shown.stdout
    assert shown.stdout.isascii()


def test_a_series_that_is_gone_hides_nothing_else(ledger):
    entry = ledger.find("made-up").entry
    ledger.objects.path(entry.stages[0].metrics.sha256).unlink()
    shown = codemix("ledger", "show", "made-up")
    assert shown.exit_code == 0
    assert "curves: an object of the ledger is missing" in shown.stdout
    assert "balanced" in shown.stdout


def test_a_signature_is_told_with_what_it_is_worth(ledger, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    line = codemix("ledger", "key").stdout.splitlines()[0]
    assert codemix("ledger", "sign", "made-up").exit_code == 0
    assert (
        "signed by a key that is not trusted"
        in codemix("ledger", "show", "made-up").stdout
    )
    codemix("ledger", "key", "--trust", line)
    [one] = as_json("ledger", "show", "made-up")["signatures"]
    assert one["problem"] is None
    assert f"good, by {one['who']}" in codemix("ledger", "show", "made-up").stdout


@pytest.mark.slow
def test_a_long_run_is_shown_in_a_second(ledger):
    entry = ledger.find("made-up").entry
    points = [
        (step, {"loss": 1 / (step + 1), "grad_norm": 0.1, "learning_rate": 1e-3})
        for step in range(100_000)
    ]
    ref = ledger.objects.put(encode_series(points))
    stage = entry.stages[0].model_copy(update={"metrics": ref, "stop_step": 100_000})
    long = entry.model_copy(update={"stages": (stage,)})
    started = time.process_time()
    told = entry_curves(long, ledger.objects)
    assert time.process_time() - started < 1
    assert len(told["curves"][0]["bins"]) == 48
