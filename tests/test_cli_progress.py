"""How far long work is: lines where nobody watches, nothing where quiet is asked."""

from __future__ import annotations

import click
import pytest

from codemix_cli import progress
from runtime.progress import Progress, TrainingProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test moves by changing its only item."""
    now = [0.0]
    monkeypatch.setattr("codemix_cli.progress.time.monotonic", lambda: now[0])
    return now


def test_lines_come_at_the_start_the_end_and_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    meter = progress.LineMeter()
    for step in range(1001):
        meter.show("train", step, 1000)
        clock[0] += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train  0%"
    assert lines[-1] == "train  100%"
    # One in 30 seconds, as that is more often than one in a twentieth of the steps.
    assert len(lines) == 2 + 1000 // 30


def test_short_work_does_not_flood(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    meter = progress.LineMeter()
    for step in range(1001):
        meter.show("hash", step, 1000)
        clock[0] += 0.0001
    assert capsys.readouterr().err == "hash  0%\nhash  100%\n"


def test_time_left_counts_from_where_this_process_began(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    meter = progress.LineMeter()
    meter.show("train", 500, 1000)
    clock[0] = 60.0
    meter.show("train", 600, 1000)
    assert capsys.readouterr().err.splitlines()[-1] == "train  60%  4m 00s left"


def test_training_line_has_stage_step_loss_and_pace(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    listen = progress.training_listener(progress.LineMeter())
    listen(
        TrainingProgress(
            stage="text", step=1, num_steps=9, loss=2.5, tokens_per_second=12345.6
        )
    )
    clock[0] = 40.0
    listen(TrainingProgress(stage="text", step=2, num_steps=9))
    assert capsys.readouterr().err.splitlines() == [
        "train  11%  stage text  step 1 of 9  loss 2.5000  12.3K tokens/s",
        "train  22%  stage text  step 2 of 9  loss 2.5000  12.3K tokens/s  4m 40s left",
    ]


def test_work_of_no_bytes_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    listen = progress.listener(progress.LineMeter())
    listen(Progress(task="tokenise text", done_bytes=0, total_bytes=0))
    assert capsys.readouterr().err == "tokenise text  100%\n"


@pytest.mark.parametrize("is_quiet", [True, False])
def test_quiet_shows_nothing(
    is_quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with click.Context(click.Command("any")) as context:
        context.meta["codemix.quiet"] = is_quiet
        with progress.open_meter() as meter:
            meter.show("hash", 0, 2)
    assert capsys.readouterr().err == ("" if is_quiet else "hash  0%\n")


def test_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.open_meter() as meter:
        meter.show("hash", 1, 2, "a note")
        meter.show("hash", 2, 2, "a note")
    shown = capsys.readouterr().err
    assert "hash" in shown
    assert "100%" in shown
    assert "a note" in shown
