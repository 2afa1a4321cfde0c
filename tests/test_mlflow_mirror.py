"""What MLflow is told: names and values that it takes, and that say what was cut."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import SPEC, hex_of

from ledger.mirror import flat_params, metric_key, score_points, shortened, step_points

ALLOWED = set(string.ascii_letters + string.digits + "_-. :/")


@given(st.text())
def test_every_name_becomes_one_that_mlflow_takes(name):
    key = metric_key(name)
    assert len(key) <= 250
    assert set(key) <= ALLOWED


@given(st.lists(st.text(), unique=True))
def test_different_names_stay_different(names):
    assert len({metric_key(name) for name in names}) == len(names)


def test_a_good_name_stays_as_it_is():
    assert metric_key("heldout/text.bits_per_byte") == "heldout/text.bits_per_byte"


def test_a_long_value_says_what_was_cut():
    value = flat_params({"where": "x" * 10_000})["where"]
    assert len(value) <= 6000
    assert value.startswith("xxx")
    assert "cut: 10000 characters, sha256 " in value
    assert flat_params({"digest": hex_of(1)}) == {"digest": hex_of(1)}
    assert shortened("short") == "short"


def test_every_leaf_of_a_spec_is_a_parameter():
    params = flat_params(SPEC)
    assert params["stages.1.optimizer"] == "keep"
    assert params["batch.sequences"] == "8"
    assert params["stages.0.mixture.text"] == "1"


def test_numbers_keep_the_time_at_which_they_were_recorded():
    step = {"step": 3, "unix_ms": 7, "metrics": {"loss": 0.1, "norm": "nan"}}
    [loss, norm] = step_points({**step, "timings": {}})
    assert loss == ("loss", 0.1, 7, 3)
    assert norm.value != norm.value
    scores = {"step": 4, "unix_ms": 8, "suite": "heldout", "values": {"text": "0.5"}}
    assert score_points(scores) == [("heldout/text", 0.5, 8, 4)]
