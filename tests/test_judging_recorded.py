"""Win-rates of replies that the ledger holds, recorded beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evaluated import Score, evaluate
from judge_server import KEY, JudgeServer, client_of, judge_server, write_judge
from ledger_runs import facts, hex_of, play

from codemix_cli.main import cli
from evals.judging.compare import compare_replies
from evals.judging.judgement import JudgementStore
from evals.judging.recorded import (
    RecordedComparison,
    record_win_rate,
    recorded_comparison,
    restore_recorded,
)
from evals.judging.win_rate import WinRate
from ledger.evaluation import AskedTask, Evaluation
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verify import verify
from runtime.question_rows import rows_digest
from specs.errors import InputError

TASK = """\
codemix_task: 1
name: ask
version: 1
data: {file: ask.jsonl, split: test, licence: none, fields: [ask, best]}
prompt: "Do: {{ ask }}\\n"
reply: {reference: "{{ best }}"}
"""
ROWS = [{"ask": f"thing {at}", "best": f"best {at}"} for at in range(6)]


def write_rows(workspace: Path, rows: list[dict[str, str]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (workspace / "ask.jsonl").write_text(text, "utf-8")


def replied(ledger: Ledger, run: str, name: str, word: str) -> None:
    """Record that a run replied to the task."""
    asked = AskedTask(
        name="ask", version=1, fingerprint=hex_of("ask"), data=rows_digest(ROWS)
    )
    questions = [
        {
            "id": str(at),
            "values": {"tokens": 3.0},
            "cluster": None,
            "output": {"texts": [f"{word} reply {at}"]},
        }
        for at in range(len(ROWS))
    ]
    detail = {
        "task": "ask",
        "fingerprint": asked.fingerprint,
        "main": "tokens",
        "chance": 0.0,
        "questions": questions,
    }
    score = Score("ask", {"tokens": 3.0}, detail)
    evaluate(
        ledger,
        run,
        name=name,
        tasks=[asked],
        answers={"ask": [3.0]},
        scores=[score],
        suites=[],
    )


def trained(workspace: Path, name: str) -> str:
    """Record a made-up run with weights of its own; return its digest."""

    def of_its_own(kind: str, step: int, value: Any) -> Any:
        return hex_of("weights", name, step) if kind == "stage_end" else value

    folder = workspace / ".codemix" / "runs" / name
    recorder = RunRecorder(Ledger.open(workspace), folder)
    run_facts = facts.__wrapped__(spec={"name": name})
    play(recorder, run_facts=run_facts, change=of_its_own)
    assert recorder.digest is not None
    return recorder.digest


@pytest.fixture(scope="module")
def asked_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs that were asked the task. Work on copies."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "ask.yaml").write_text(TASK, "utf-8")
    write_rows(folder, ROWS)
    for name, word in (("one", "good"), ("two", "fine")):
        run = trained(folder, name)
        replied(Ledger.open(folder), run, name, word)
    trained(folder, "silent")
    return folder


@pytest.fixture
def workspace(asked_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(asked_runs, tmp_path / "workspace"))


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


def compared(workspace: Path, b: str | None = "two") -> RecordedComparison:
    return recorded_comparison("one", b, task="ask.yaml", workspace=workspace)


def judged(workspace: Path, server: JudgeServer) -> tuple[RecordedComparison, WinRate]:
    found = compared(workspace)
    judge = write_judge(workspace / "judge")
    result = compare_replies(
        found.comparison,
        judge=judge,
        store=JudgementStore.of(workspace),
        client=client_of(judge, server.url),
    )
    return found, result


def test_replies_of_two_runs_are_read_from_the_ledger(workspace: Path) -> None:
    found = compared(workspace).comparison
    assert found.a.startswith("one.12.")
    assert found.b.startswith("two.12.")
    assert found.task_fingerprint == hex_of("ask")
    pair = found.pairs[2]
    assert (pair.instruction, pair.a, pair.b) == (
        "Do: thing 2\n",
        "good reply 2",
        "fine reply 2",
    )


def test_replies_of_one_run_are_compared_with_the_references(workspace: Path) -> None:
    found = compared(workspace, None).comparison
    assert (found.b, found.pairs[2].b) == ("reference", "best 2")


def test_a_run_that_was_never_asked_is_told_how_to_be(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"silent\.12.* was never asked") as error:
        compared(workspace, "silent")
    assert "--task ask.yaml" in str(error.value)


def test_rows_that_are_not_those_asked_are_refused(workspace: Path) -> None:
    write_rows(workspace, [*ROWS[:5], {"ask": "another", "best": "x"}])
    with pytest.raises(InputError, match=r"ask\.jsonl"):
        compared(workspace)


def test_win_rate_is_an_evaluation_of_the_weights_that_won(
    workspace: Path, server: JudgeServer
) -> None:
    found, result = judged(workspace, server)
    store = JudgementStore.of(workspace)
    recorded = record_win_rate(result, kept=found.kept, store=store, mode="record")
    ledger = Ledger.open(workspace)
    entry = ledger.read(recorded.digest)
    assert isinstance(entry, Evaluation)
    assert entry.weights_digest == found.kept.weights.digest
    (score,) = entry.scores
    assert score.suite == f"ask.against.{result.b}.by.biased"
    assert score.detail is not None
    assert WinRate.model_validate(ledger.objects.get_json(score.detail)) == result
    assert [one.content.sha256 for one in entry.extras] == [result.judgements]
    assert verify(ledger).problems == ()
    again = record_win_rate(result, kept=found.kept, store=store, mode="replay")
    assert (again.digest, again.is_new) == (recorded.digest, False)


def test_another_workspace_replays_what_the_ledger_brought(
    workspace: Path, server: JudgeServer, tmp_path: Path
) -> None:
    found, result = judged(workspace, server)
    store = JudgementStore.of(workspace)
    record_win_rate(result, kept=found.kept, store=store, mode="record")
    calls = len(server.requests)
    shutil.rmtree(store.folder)
    there = compared(workspace)
    assert restore_recorded(there.kept, store) == 2 * len(ROWS)
    judge = write_judge(workspace / "judge")
    replayed = compare_replies(
        there.comparison, judge=judge, store=store, mode="replay"
    )
    assert replayed.to_bytes() == result.to_bytes()
    assert len(server.requests) == calls


def test_of_several_answers_the_last_recorded_one_is_restored(
    workspace: Path, server: JudgeServer
) -> None:
    store = JudgementStore.of(workspace)
    for model in ("alias-1", "alias-2"):
        server.model = model
        shutil.rmtree(store.folder, ignore_errors=True)
        found, result = judged(workspace, server)
        record_win_rate(result, kept=found.kept, store=store, mode="record")
    shutil.rmtree(store.folder)
    assert restore_recorded(found.kept, store) == 2 * len(ROWS)
    models = {json.loads(p.read_text())["served_model"] for p in files_in(store)}
    assert models == {"alias-2"}


def files_in(store: JudgementStore) -> list[Path]:
    return list(store.folder.rglob("*.json"))


# The command


def run_eval(workspace: Path, *arguments: str) -> Any:
    with chdir(workspace):
        return CliRunner().invoke(cli, ["eval", "one", *arguments])


def test_command_prints_a_win_rate_and_records_it(
    workspace: Path, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_judge(workspace / "judge")
    (workspace / ".dvc").mkdir()
    monkeypatch.setenv("CODEMIX_JUDGE_URL", server.url)
    monkeypatch.setenv("JUDGE_API_KEY", KEY)
    arguments = ["--task", "ask.yaml", "--judge", "judge/judge.yaml"]
    first = run_eval(workspace, *arguments, "--against", "two", "--json")
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["is_new"]
    rate = told["win_rate"]
    assert rate["wins"] + rate["losses"] + rate["ties"] == len(ROWS)
    monkeypatch.delenv("CODEMIX_JUDGE_URL")
    shutil.rmtree(JudgementStore.of(workspace).folder)
    replay = [*arguments, "--against", "two", "--judgements", "replay"]
    again = run_eval(workspace, *replay)
    assert again.exit_code == 0, again.output
    assert "win-rate" in again.stdout
    assert "one.12." in again.stdout
    assert len(server.requests) == 2 * len(ROWS)
    assert (
        len([1 for line in Ledger.open(workspace).log() if line.kind == "evaluation"])
        == 3
    )
    assert KEY not in first.output + again.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--against", "two"], "--against and --judgements need --judge"),
        (["--judgements", "replay"], "--against and --judgements need --judge"),
        (["--judge", "j.yaml"], "--judge needs one --task"),
        (["--judge", "j.yaml", "--task", "a", "--task", "b"], "--judge needs one"),
        (["--judge", "j.yaml", "--task", "a", "--suite", "b"], "and no --suite"),
    ],
)
def test_command_says_what_belongs_together(
    arguments: list[str], what: str, tmp_path: Path
) -> None:
    found = run_eval(tmp_path, *arguments)
    assert found.exit_code == 2
    assert what in " ".join(found.output.split())
