"""What `codemix study` prints: the graph, a table that is drawn again, the end."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from spec_examples import document
from test_study_graph import END, FIRST, MORE, experiment

from codemix_cli.main import cli
from codemix_cli.study_table import (
    study_listeners,
    told_ended,
    told_event,
    told_look,
    told_ready,
)
from runtime.study.events import Event
from runtime.study.looking import Row, StudyLook
from runtime.study.ready import ReadyStudy
from runtime.study.running import StudyEnded
from specs.declared import declared_lock
from specs.loading import save_lock
from specs.resolve import plan_experiment
from specs.study_file import load_study
from specs.study_graph import study_graph

GRAPH = study_graph(
    [experiment("a", FIRST, MORE, END), experiment("b", FIRST), experiment("c", FIRST)]
)

TREE = """\
study s  3 experiments, 5 stages, 3 of them unique

stage      steps  tokens     FLOPs  ledger  of
one           78   10.0K  2.33e+09  ?       a, b, c
`- two        40    5.1K   1.2e+09  ?       a
   `- end     20    2.6K  5.98e+08  ?       a

                       stages  steps  tokens     FLOPs
each experiment alone       5    294   37.6K  8.79e+09
each stage once             3    138   17.7K  4.12e+09

53.1% of the steps are not trained again
next: codemix study s
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    study = Path("s")
    study.mkdir()
    for name, stages in {"a": [FIRST, MORE, END], "b": [FIRST], "c": [FIRST]}.items():
        spec = json.dumps(document(name=name, stages=stages))
        (study / f"{name}.yaml").write_text(spec)
    return study


def codemix(*arguments: str, code: int = 0) -> str:
    shown = CliRunner(charset="ascii").invoke(cli, list(arguments), prog_name="codemix")
    assert shown.exit_code == code, shown.output
    return shown.stdout


def test_the_graph_is_a_tree_with_sums(folder: Path) -> None:
    assert codemix("study", "s", "--plan") == TREE


def test_the_graph_is_drawn(folder: Path) -> None:
    codemix("study", "s", "--plan", "--svg", "graph.svg")
    drawn = ElementTree.parse("graph.svg").getroot()
    titles = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "Study s, as planned"
    taken = [title for title in titles if title and "taken over" in title]
    first = "one: steps 0 to 77, taken over from "
    assert [one.startswith(first) for one in taken] == [True, True]
    codemix("study", "s", "--svg", "graph.svg", code=2)
    codemix("study", "s", "--plan", "--svg", "s/a.yaml/x.svg", code=4)


def test_costs_are_told_by_options_or_by_the_study(folder: Path) -> None:
    options = ["--plan", "--json", "--chip", "v5e", "--mfu", "50", "--price", "2"]
    told = json.loads(codemix("study", "s", *options))
    by_options = told["totals"]["shared"]
    assert by_options["money"] == 2 * by_options["chip_hours"] > 0
    (folder / "study.yaml").write_text(
        "study: 1\nname: s\ncost: {chip: v5e, mfu: {debug: 50%, other: 1%}, price: 2}\n"
    )
    told = json.loads(codemix("study", "s", "--plan", "--json"))
    assert told["totals"]["shared"] == by_options
    assert told["assumed"]["mfu"] == {"debug": 0.5, "other": 0.01}
    assert "of it 50% (debug), 1%" in codemix("study", "s", "--plan")


def test_a_prepared_study_for_more_devices_than_are_here_is_planned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    Path(".dvc").mkdir()
    spec = document(name="a", stages=[FIRST, MORE, END], parallel={"tensor": 2})
    (folder / "a.yaml").write_text(json.dumps(spec))
    for _, one in load_study(folder).experiments:
        lock = declared_lock(one, plan_experiment(one))
        save_lock(lock, Path(f".codemix/studies/s/{one.name}.lock"))
    # Others of the study are known, but what is left to train of all is not.
    for words in (["study", "s", "--plan"], ["plan", "s"]):
        assert not json.loads(codemix(*words, "--json"))["is_ledger_known"]


@pytest.mark.parametrize(
    "options",
    [
        ["--plan", "--mfu", "3"],
        ["--plan", "--chip", "v5e"],
        ["--chip", "v5e", "--mfu", "3"],
    ],
    ids=" ".join,
)
def test_what_needs_another_option_says_so(folder: Path, options: list[str]) -> None:
    codemix("study", "s", *options, code=2)


def test_a_study_outside_of_a_workspace_can_be_planned_but_not_run(
    folder: Path,
) -> None:
    told = json.loads(codemix("study", "s", "--json", code=4))
    assert "not inside a workspace" in told["problems"][0]["what"]
    told = json.loads(
        codemix("study", "s", "--plan", "--json", "--chip", "v9", "--mfu", "3", code=4)
    )
    assert told["problems"][0]["what"] == "unknown accelerator 'v9'"


def row(job: str, state: Any, **fields: Any) -> Row:
    made: dict[str, Any] = {
        "job": job, "state": state, "is_kept": False, "reason": "", "stages": (),
        "steps_done": 0, "num_steps": 40,
    }  # fmt: skip
    return Row(**{**made, **fields})


def test_a_look_has_a_row_per_job() -> None:
    rows = (
        row("a/one", "done", is_kept=True, steps_done=40),
        row("a", "running", steps_done=10, loss="4.25", left_seconds=75.0),
        row("b", "failed", reason="not finite"),
        row("c", "blocked", reason="b", num_steps=0),
        row("d", "waiting"),
    )
    assert told_look(StudyLook(rows=rows, left_seconds=7260.0)) == (
        "job    state              step        loss    left\n"
        "a/one  in the ledger  40 of 40  100%\n"
        "a      running        10 of 40   25%  4.2500  1m 15s\n"
        "b      failed          0 of 40    0%\n"
        "c      blocked by b          -\n"
        "d      waiting         0 of 40    0%\n"
        "1 of 5 jobs done  about 2h 01m left"
    )


def test_a_long_table_leaves_out_what_is_over_first() -> None:
    rows = [row(f"d{index}", "done", steps_done=40) for index in range(60)]
    rows[50:50] = [row("r", "running"), row("f", "failed")]
    told = told_look(StudyLook(rows=tuple(rows), left_seconds=None)).splitlines()
    assert len(told) == 1 + 40 + 1
    assert {"r", "f"} <= {line.split()[0] for line in told}
    assert told[-1] == "60 of 62 jobs done, 22 not shown"


def test_an_event_is_a_line() -> None:
    begun = Event("a", "running", pid=7, log="x.log")
    assert told_event(begun) == "a  running  (x.log)"
    assert told_event(Event("a", "done", log="x.log")) == "a  done"
    failed = Event("a", "failed", "not finite", log="x.log")
    assert told_event(failed) == "a  failed: not finite  (x.log)"
    assert told_event(Event("b", "blocked", "a")) == "b  blocked by a"


def test_a_terminal_keeps_a_line_of_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    folder = Path(".codemix/studies/s")
    ready = ReadyStudy(name="s", folder=folder, workspace=Path(), graph=GRAPH, locks={})
    reader, writer = os.openpty()
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with study_listeners() as listeners:
            listeners.ready(ready)
            listeners.event(Event("a", "running", pid=7, log="a.log"))
            listeners.event(Event("b", "failed", "not finite", log="b.log"))
            listeners.look(StudyLook(rows=(row("a", "running"),), left_seconds=None))
            listeners.event(Event("a", "stopped", "still at work: it is not known"))
            listeners.event(Event("c", "stopped"))
    told = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed.
        while read := os.read(reader, 1 << 16):
            told += read
    os.close(reader)
    shown = told.decode()
    assert "b  failed: not finite  (b.log)\r\n" in shown
    # Where the table was before, and the table is drawn anew below it.
    assert re.search(r"\x1b\[2Ka  stopped: still at work: it is not known\r\n", shown)
    assert "a.log" not in shown
    assert "c  stopped" not in shown


def test_the_end_names_entries_and_logs_of_failures() -> None:
    folder = Path(".codemix/studies/s")
    ready = ReadyStudy(name="s", folder=folder, workspace=Path(), graph=GRAPH, locks={})
    assert told_ready(ready) == (
        "study s  3 experiments, 3 jobs, 138 steps in place of 294"
    )
    rows = (
        row("b", "done"),
        row("a", "failed", reason="no"),
        row("c", "blocked", reason="a"),
    )
    ended = StudyEnded(study=ready, rows=rows, entries={"b": "f" * 64})
    assert told_ended(ended) == (
        "experiment  entry\n"
        "a           -\n"
        "b           ffffffffffff\n"
        "c           -\n\n"
        "a failed: no\n"
        "  log: .codemix/studies/s/logs/a/_run.log\n"
        "c is blocked by a"
    )
    told = ended.to_json()
    assert told["experiments"][1] == {"name": "b", "entry": "f" * 64}
    assert told["jobs"][1]["spec"] == ".codemix/studies/s/a.yaml"
    assert not ended.is_good
