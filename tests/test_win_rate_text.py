"""A win-rate as it is shown."""

from __future__ import annotations

from pathlib import Path

from judge_server import write_judge

from codemix_cli.win_rate_text import told_win_rate
from evals.judging.replies import Comparison, Pair
from evals.judging.win_rate import Judged, Served, WinRate, win_rate_of


def result_of(folder: Path) -> WinRate:
    verdicts = [("a", "a"), ("b", "b"), ("a", "b"), ("a", "a")] * 25
    pairs = [
        Pair(id=str(at), instruction="?", a="x" * (at % 30), b="x" * 20)
        for at in range(len(verdicts))
    ]
    compared = Comparison(
        task="dolly",
        task_fingerprint="f" * 64,
        a="my-run",
        b="other-run",
        pairs=tuple(pairs),
    )
    judged = [Judged(a_first=a, b_first=b, output={}) for a, b in verdicts]
    served = (Served(model="judge-1", system_fingerprint=None, judgements=200),)
    return win_rate_of(
        compared,
        judged,
        judge=write_judge(folder),
        fingerprint="e" * 64,
        served=served,
    )


SHOWN = """\
my-run against other-run  prompts  share
losses                         25  25.0%
wins                           50  50.0%
ties                           25  25.0%

                    rate  95% interval
win-rate           62.5%  54.5% to 70.5%
length-controlled  61.8%  51.7% to 71.9%

task             dolly ffffffffffff
judge            biased eeeeeeeeeeee
served by        judge-1 (200 judgements)
first preferred  62.5%; 50% without bias
characters       14 and 20 a reply
without verdict  0 of 100 prompts"""


def test_win_rate_is_shown_as_counts_rates_and_what_to_hold_against_them(
    tmp_path: Path,
) -> None:
    assert told_win_rate(result_of(tmp_path).to_json()) == SHOWN


def test_what_is_not_known_or_changed_is_said(tmp_path: Path) -> None:
    served = [
        Served(model=name, system_fingerprint=None, judgements=100)
        for name in ("judge-1", "judge-2")
    ]
    changed = {"length_controlled": None, "served": tuple(served)}
    text = told_win_rate(result_of(tmp_path).model_copy(update=changed).to_json())
    assert "length-controlled      -  one side is longer every time" in text
    assert "judge-1 (100 judgements), judge-2 (100 judgements)" in text
    assert text.endswith(
        "DRIFT: several models answered for the judge's name; see `served by`"
    )
