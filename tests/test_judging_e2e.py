"""From a trained model's own replies to a win-rate, with the model as its own judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judge_server import KEY, judge_server, write_judge
from run_workspace import codemix, copy_workspace

from ledger.store import Ledger
from ledger.verify import verify

TASK = """\
codemix_task: 1
name: ask
version: 1
data: {file: ask.jsonl, split: test, licence: none, fields: [ask, best]}
prompt: "{{ ask }}"
reply: {reference: "{{ best }}", max_tokens: 4}
"""
LOCAL = """\
codemix_judge: 1
name: itself
version: 1
template: short.jinja
local: {checkpoint: RUN, preference: soft}
"""
SHORT = "{{ instruction }}|{{ answer_a }}|{{ answer_b }}|"


@pytest.mark.e2e
def test_replies_of_a_trained_model_are_judged_by_it_and_by_an_endpoint(
    finished_run: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, digest = finished_run
    workspace = tmp_path / "workspace"
    copy_workspace(run, workspace)
    (workspace / "ask.yaml").write_text(TASK, "utf-8")
    rows = [{"ask": ask, "best": "of"} for ask in ("the", "a", "def f", "x")]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (workspace / "ask.jsonl").write_text(lines, "utf-8")
    (workspace / "short.jinja").write_text(SHORT, "utf-8")
    (workspace / "local.yaml").write_text(LOCAL.replace("RUN", digest), "utf-8")
    code, _, stderr = codemix(workspace, "eval", digest, "--task", "ask.yaml")
    assert code == 0, stderr
    judged = ["eval", digest, "--task", "ask.yaml", "--judge"]

    code, told, stderr = codemix(workspace, *judged, "local.yaml")
    assert code == 0, stderr
    again = codemix(workspace, *judged, "local.yaml")[1]
    assert (again["win_rate"], again["is_new"]) == (told["win_rate"], False)
    assert told["win_rate"]["b"] == "reference"
    assert 0 < told["win_rate"]["win_rate"]["value"] < 1

    write_judge(workspace / "judge")
    with judge_server() as server:
        monkeypatch.setenv("CODEMIX_JUDGE_URL", server.url)
        monkeypatch.setenv("JUDGE_API_KEY", KEY)
        code, told, stderr = codemix(workspace, *judged, "judge/judge.yaml")
        assert code == 0, stderr
    assert told["is_new"]
    checked = verify(Ledger.open(workspace))
    assert checked.problems == ()
    files = [path for path in workspace.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
