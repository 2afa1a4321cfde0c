"""What each command prints for a spec, a workspace and a ledger."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import ledger_runs
import pytest
from click.testing import CliRunner, Result

from codemix_cli.main import cli
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.experiment import experiment_digest
from specs.loading import load_experiment
from specs.schema import schema_path

ROOT = Path(__file__).resolve().parent.parent

SPEC = """\
codemix: 1
name: tiny
seed: 3
model: {preset: debug}
tokenizer: {vocab_size: 300, train: {mixture: {text: 1}, sample_bytes: 20K}}
sources:
  text: {uri: "data/*.txt", holdout: 10%, max_epochs: 4}
batch: {sequences: 4, length: 32}
stages:
  - name: only
    tokens: 1K
    mixture: {text: 1}
    learning_rate: {schedule: constant, peak: 0.01}
"""


EMPTY_HEAD = f"0-{'0' * 64}"


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


def as_json(*arguments: str, code: int = 0) -> dict[str, Any]:
    """Run with --json; stdout must be one object that says how it went."""
    shown = codemix(*arguments, "--json")
    assert shown.exit_code == code, shown.output
    told: dict[str, Any] = json.loads(shown.stdout)
    assert shown.stdout.count("\n") == 1
    assert told["ok"] is (code == 0)
    assert told["schema_version"] == 1
    return told


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that is the current folder, with one spec."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "tiny.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recorded(workspace: Path) -> str:
    """The digest of an entry of a made-up run in the workspace."""
    folder = workspace / ".codemix" / "runs" / "made-up"
    folder.mkdir(parents=True)
    recorder = RunRecorder(Ledger.open(workspace), folder)
    ledger_runs.play(recorder)
    (line,) = Ledger.open(workspace).log()
    return line.digest


def test_validate_prints_a_line_per_file_and_the_next_command(workspace: Path) -> None:
    digest = experiment_digest(load_experiment(Path("tiny.yaml")))
    shown = codemix("validate", "tiny.yaml")
    assert shown.exit_code == 0
    assert shown.stdout == (
        f"tiny.yaml  ok  digest {digest[:8]}  1 stage, 7 steps, 896 tokens\n"
        "next: codemix plan tiny.yaml\n"
    )


def test_validate_names_each_experiment_of_a_matrix(workspace: Path) -> None:
    (workspace / "tiny.yaml").write_text(f"{SPEC}matrix: {{seed: [1, 2]}}\n")
    told = as_json("validate", "tiny.yaml")["experiments"]
    assert len(told) == 2
    assert len({one["name"] for one in told}) == 2
    assert len({one["digest"] for one in told}) == 2
    shown = codemix("validate", "tiny.yaml").stdout
    assert all(one["name"] in shown for one in told)


def test_validate_tells_the_problems_of_all_files_together(workspace: Path) -> None:
    (workspace / "a.yaml").write_text(SPEC.replace("seed: 3", "sede: 3"))
    (workspace / "b.yaml").write_text(SPEC.replace("preset: debug", "preset: huge"))
    shown = codemix("validate", "a.yaml", "tiny.yaml", "b.yaml", "none.yaml")
    assert shown.exit_code == 3
    assert shown.stdout == ""
    for name in ("a.yaml:3", "b.yaml:4", "none.yaml"):
        assert f"error: {name}" in shown.stderr
    assert shown.stderr.endswith(" problems, nothing was run\n")
    assert as_json("validate", "a.yaml", code=3)["error"] == "SpecError"


def test_validate_of_a_missing_file_is_for_who_owns_the_files(workspace: Path) -> None:
    assert codemix("validate", "none.yaml").exit_code == 4


def test_plan_is_the_same_text_every_time(workspace: Path) -> None:
    first, second = codemix("plan", "tiny.yaml"), codemix("plan", "tiny.yaml")
    assert first.exit_code == 0
    assert first.stdout == second.stdout
    assert first.stdout.endswith("next: codemix pin tiny.yaml\n")
    assert str(workspace) not in first.stdout


def test_plan_as_json_has_the_exact_numbers(workspace: Path) -> None:
    (told,) = as_json("plan", "tiny.yaml")["experiments"]
    (stage,) = told["stages"]
    assert (stage["num_steps"], stage["num_tokens"]) == (7, 896)
    assert stage["sequences"] == {"text": 28}
    assert told["sources"]["text"]["epochs"] is None


def test_schema_is_the_frozen_file_to_the_byte() -> None:
    assert codemix("schema").stdout == schema_path().read_text("utf-8")
    assert as_json("schema")["schema"] == json.loads(schema_path().read_text("utf-8"))


def test_doctor_tells_versions_and_answers_by_exit_code(workspace: Path) -> None:
    shown = codemix("doctor")
    named = {line.split()[0]: line.split()[1] for line in shown.stdout.splitlines()}
    assert named["jax"] == "ok"
    assert named["workspace"] == "ok"
    assert shown.exit_code == int("BAD" in named.values())


def test_doctor_sees_a_package_that_is_not_there(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.doctor.DISTRIBUTIONS", ("no-such-thing",))
    told = as_json("doctor", code=1)["findings"]
    (bad,) = [one for one in told if not one["ok"]]
    assert (bad["name"], bad["found"]) == ("no-such-thing", "not installed")


@pytest.mark.parametrize(
    "arguments", [["pin"], ["prepare"], ["batch", "--step", "0"], ["run"]], ids=str
)
def test_spec_outside_of_a_workspace_is_told_how_to_make_one(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    shown = codemix(*arguments, "tiny.yaml")
    assert shown.exit_code == 4
    assert "fix: codemix init ." in shown.stderr


def test_batch_of_a_spec_that_is_not_pinned_says_what_is_missing(
    workspace: Path,
) -> None:
    shown = codemix("batch", "tiny.yaml", "--step", "0")
    assert shown.exit_code == 4
    assert shown.stderr == (
        "error: tiny.lock: no such lock\n  fix: codemix pin tiny.yaml\n"
    )


def test_empty_ledger_is_no_error(workspace: Path) -> None:
    assert codemix("ledger", "list").stdout == "no entries yet\n"
    assert as_json("ledger", "list")["entries"] == []
    assert as_json("ledger", "verify") == {
        "entries": 0,
        "head": EMPTY_HEAD,
        "journals": 0,
        "mlflow_runs": 0,
        "notes": ["no MLflow store here: nothing to compare"],
        "objects": 0,
        "ok": True,
        "schema_version": 1,
        "signatures": 0,
    }
    assert codemix("ledger", "head").stdout == f"{EMPTY_HEAD}\n"


def test_ledger_list_has_a_row_per_entry(recorded: str) -> None:
    shown = codemix("ledger", "list")
    header, row, following = shown.stdout.splitlines()
    assert header.split()[0] == "entry"
    assert row.startswith(recorded[:12])
    assert "completed" in row
    assert following == f"next: codemix ledger show {recorded[:12]}"
    (told,) = as_json("ledger", "list")["entries"]
    assert told["digest"] == recorded


def test_ledger_show_tells_an_entry_by_digest_or_name(recorded: str) -> None:
    by_digest, by_name = (
        codemix("ledger", "show", name).stdout for name in (recorded[:8], "made-up")
    )
    assert by_digest == by_name
    for told in (recorded[:12], "completed", "balanced", "text.bits_per_byte"):
        assert told in by_digest
    assert by_digest.endswith(f"next: codemix reproduce {recorded[:12]}\n")
    assert as_json("ledger", "show", "made-up")["digest"] == recorded


def test_ledger_show_tells_a_verdict_and_the_entry_tells_of_it(
    recorded: str, workspace: Path
) -> None:
    ledger = Ledger.open(workspace)
    replay = ReplayRecorder(ledger.find(recorded), ledger)
    ledger_runs.play(replay, run_facts=ledger_runs.facts(canary="x" * 99))
    assert replay.digest is not None
    shown = codemix("ledger", "show", replay.digest[:12]).stdout
    assert "verdict   EXACT\n" in shown
    assert f"of entry  {recorded[:12]}\n" in shown
    assert f"is {'x' * 24}...\n" in shown
    original = codemix("ledger", "show", recorded[:12]).stdout
    assert f"replayed: EXACT  {replay.digest[:12]}\n" in original


def test_ledger_show_of_no_entry_is_for_who_owns_the_ledger(recorded: str) -> None:
    shown = codemix("ledger", "show", "made-uq")
    assert shown.exit_code == 4
    assert "did you mean 'made-up'?" in shown.stderr


def test_ledger_verify_says_no_to_a_changed_entry(
    recorded: str, workspace: Path
) -> None:
    assert codemix("ledger", "verify").exit_code == 0
    path = workspace / ".codemix" / "ledger" / "entries" / f"{recorded}.json"
    path.write_bytes(path.read_bytes().replace(b'"completed"', b'"COMPLETED"'))
    shown = codemix("ledger", "verify")
    assert shown.exit_code == 1
    assert recorded[:12] in shown.stderr
    assert as_json("ledger", "verify", code=1)["error"] == "CheckFailed"


def test_ledger_index_wants_to_be_asked_twice(workspace: Path) -> None:
    assert codemix("ledger", "index").exit_code == 2


def test_init_makes_a_workspace_whose_spec_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_corpus(folder: Path) -> dict[str, int]:
        folder.mkdir()
        (folder / "prose.jsonl.zst").touch()
        return {"prose.jsonl.zst": 0}

    monkeypatch.setattr("runtime.workspace.write_corpus", write_corpus)
    monkeypatch.chdir(tmp_path)
    shown = codemix("init", "study")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.endswith("next: cd study && codemix run experiment.yaml\n")
    assert codemix("validate", "study/experiment.yaml").exit_code == 0
    for made in (".git", ".dvc/config", ".gitignore", "data/prose.jsonl.zst"):
        assert (tmp_path / "study" / made).exists()
    again = codemix("init", "study")
    assert again.exit_code == 4
    assert "study/experiment.yaml: is there already" in again.stderr


def test_init_keeps_a_repository_and_files_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.workspace.write_corpus", lambda folder: {})
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".gitignore").write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    made = as_json("init", "study")["made"]
    assert made == [".dvc/", "experiment.yaml"]
    assert (tmp_path / "study" / ".gitignore").read_text() == "mine\n"
    assert not (tmp_path / "study" / ".git").exists()


def test_init_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert codemix("init", str(tmp_path / "file")).exit_code == 4
