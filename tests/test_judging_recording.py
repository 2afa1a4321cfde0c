"""Judgements are recorded by what was asked: replayed, restored, never lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_server import (
    COMPARED,
    KEY,
    NUM,
    JudgeServer,
    comparison,
    judge_server,
    judged,
    replies,
    write_judge,
)

from evals.judging.compare import compare_replies
from evals.judging.judgement import Judgement, JudgementStore
from evals.judging.keeping import (
    judgement_keys,
    judgements_of,
    restore_judgements,
    score_of,
)
from evals.judging.win_rate import WinRate
from ledger.objects import ObjectStore
from specs.canonical import digest_of
from specs.errors import CheckFailed, InputError


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WinRate]:
    """A folder with a judge and what it said, and what came of it. Work on copies."""
    folder = tmp_path_factory.mktemp("recorded")
    with judge_server() as server:
        return folder, judged(folder, server.url)


@pytest.fixture
def copied(recorded: tuple[Path, WinRate], tmp_path: Path) -> tuple[Path, WinRate]:
    folder, result = recorded
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy", result


def judgement_files(folder: Path) -> list[Path]:
    return sorted((folder / "judgements").rglob("*.json"))


def test_replay_asks_nobody_and_gives_the_same_bytes(
    copied: tuple[Path, WinRate],
) -> None:
    folder, result = copied
    replayed = judged(folder, mode="replay")
    assert replayed.to_bytes() == result.to_bytes()
    assert replayed.digest == result.digest


def test_recording_again_asks_nobody(copied: tuple[Path, WinRate]) -> None:
    folder, result = copied
    assert judged(folder, mode="record") == result


def test_replay_needs_neither_address_nor_key(
    copied: tuple[Path, WinRate], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = copied
    monkeypatch.delenv("JUDGE_API_KEY", raising=False)
    store = JudgementStore(folder / "judgements")
    judge = write_judge(folder)
    assert compare_replies(COMPARED, judge=judge, store=store, mode="replay") == result


def test_a_changed_reply_is_a_miss_that_names_it(copied: tuple[Path, WinRate]) -> None:
    folder, _ = copied
    changed = replies("one", num=NUM)
    changed[3] += "!"
    compared = comparison(changed, replies("two", num=NUM))
    with pytest.raises(InputError, match=r"question 3, A's reply first: .* never") as e:
        judged(folder, mode="replay", compared=compared)
    assert "question 3, B's reply first" in str(e.value)
    assert "2 of 20 requests are not recorded" in str(e.value)
    assert "question 4" not in str(e.value)


def test_a_changed_template_misses_everything(copied: tuple[Path, WinRate]) -> None:
    folder, _ = copied
    judge = write_judge(folder)
    changed = type(judge)(
        spec=judge.spec, template=judge.template + "\n", template_file="judge.jinja"
    )
    store = JudgementStore(folder / "judgements")
    with pytest.raises(InputError, match="20 of 20 requests are not recorded"):
        compare_replies(COMPARED, judge=changed, store=store, mode="replay")


def test_only_what_is_new_is_asked(
    copied: tuple[Path, WinRate], server: JudgeServer
) -> None:
    folder, _ = copied
    changed = replies("one", num=NUM)
    changed[3] += "!"
    judged(folder, server.url, compared=comparison(changed, replies("two", num=NUM)))
    assert len(server.requests) == 2


def test_refresh_asks_everything_again(
    copied: tuple[Path, WinRate], server: JudgeServer
) -> None:
    folder, result = copied
    assert judged(folder, server.url, mode="refresh").win_rate == result.win_rate
    assert len(server.requests) == 2 * NUM


def test_another_model_behind_the_same_name_is_told(
    copied: tuple[Path, WinRate], server: JudgeServer
) -> None:
    folder, result = copied
    assert not result.has_drifted
    server.model = "alias-2024-09"
    for path in judgement_files(folder)[:5]:
        path.unlink()
    mixed = judged(folder, server.url)
    assert mixed.has_drifted
    found = [(one.model, one.judgements) for one in mixed.served]
    assert found == [("alias-2024-06", 15), ("alias-2024-09", 5)]
    assert mixed.win_rate == result.win_rate
    assert mixed.digest != result.digest


def test_a_judgement_is_what_was_asked_and_said_and_no_more(
    recorded: tuple[Path, WinRate], server: JudgeServer
) -> None:
    folder, _ = recorded
    for path in judgement_files(folder):
        kept = json.loads(path.read_bytes())
        assert set(kept) == {
            "request",
            "response",
            "served_model",
            "system_fingerprint",
            "usage",
        }
        assert set(kept["request"]) == {
            "model",
            "messages",
            "temperature",
            "seed",
            "max_tokens",
        }
        assert path.stem == digest_of(kept["request"])
        assert path.parent.name == path.stem[:2]
        assert json.loads(kept["response"])["choices"]
        assert kept["usage"] == {"prompt_tokens": 90, "completion_tokens": 8}


@pytest.mark.parametrize("damage", ["another request", "cut", "no completion"])
def test_a_changed_judgement_is_found(
    damage: str, copied: tuple[Path, WinRate]
) -> None:
    folder, _ = copied
    path = judgement_files(folder)[0]
    text = path.read_text("utf-8")
    changed = {
        "another request": text.replace("Question", "question"),
        "cut": text[:-5],
        "no completion": text.replace('\\"choices\\"', '\\"voices\\"'),
    }[damage]
    assert changed != text
    path.write_text(changed, "utf-8")
    with pytest.raises(CheckFailed, match="does not belong to its name") as error:
        judged(folder, mode="replay")
    assert path.name in str(error.value)


def test_a_changed_verdict_changes_the_digest(copied: tuple[Path, WinRate]) -> None:
    folder, result = copied
    path = judgement_files(folder)[0]
    text = path.read_text("utf-8")
    path.write_text(text.replace("Both have merits", "Both have faults"), "utf-8")
    changed = judged(folder, mode="replay")
    assert changed.win_rate == result.win_rate
    assert changed.judgements != result.judgements


def test_the_ledger_carries_result_and_judgements_to_another_workspace(
    copied: tuple[Path, WinRate], tmp_path: Path
) -> None:
    folder, result = copied
    score = score_of(result)
    assert WinRate.model_validate(json.loads(json.dumps(score.detail))) == result
    store = JudgementStore(folder / "judgements")
    (extra,) = judgements_of(result, store=store, mode="record")
    # The object that the ledger makes of it is the one that the result names.
    ref = ObjectStore(tmp_path / "objects").put_json(extra.content)
    assert ref.sha256 == result.judgements
    elsewhere = tmp_path / "elsewhere"
    other = JudgementStore(elsewhere / "judgements")
    assert restore_judgements(extra.content, store=other) == 2 * NUM
    assert restore_judgements(extra.content, store=other) == 0
    assert judged(elsewhere, mode="replay") == result


def test_score_holds_the_numbers_of_the_study(recorded: tuple[Path, WinRate]) -> None:
    _, result = recorded
    score = score_of(result)
    assert score.suite == "dolly.against.model-b.by.biased"
    assert score.values["wins"] == result.wins / NUM
    assert score.values["win_rate_low"] == result.win_rate.low
    assert "length_controlled" in score.values
    unknown = score_of(result.model_copy(update={"length_controlled": None}))
    assert "length_controlled" not in unknown.values


def test_judgements_that_changed_meanwhile_are_not_kept_for_a_result(
    copied: tuple[Path, WinRate],
) -> None:
    folder, result = copied
    judgement_files(folder)[0].unlink()
    store = JudgementStore(folder / "judgements")
    with pytest.raises(CheckFailed, match="not those that the win-rate was made of"):
        judgements_of(result, store=store, mode="record")


def test_restoring_does_not_overwrite_another_answer(
    copied: tuple[Path, WinRate],
) -> None:
    folder, result = copied
    store = JudgementStore(folder / "judgements")
    (extra,) = judgements_of(result, store=store, mode="record")
    found = store.find(judgement_keys(result)[0])
    assert found is not None
    another = found.model_copy(update={"served_model": "another"})
    store.put(another)
    assert restore_judgements(extra.content, store=store) == 0
    assert store.find(found.key) == another


def test_a_full_disk_is_told(
    tmp_path: Path, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.chat.exchange.write_atomically", full)
    with pytest.raises(InputError, match="can't write: No space left"):
        judged(tmp_path, server.url)


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from judge_server import judged
judged(Path({folder!r}), {url!r})
"""


def test_a_killed_recording_goes_on_and_loses_the_calls_on_their_way_at_most(
    tmp_path: Path, server: JudgeServer, recorded: tuple[Path, WinRate]
) -> None:
    server.faults.extend(["slow"] * 2 * NUM)
    tests = str(Path(__file__).parent)
    script = CHILD.format(tests=tests, folder=str(tmp_path), url=server.url)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", script], env=environ)
    deadline = time.monotonic() + 60
    while len(server.requests) < 9 and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    time.sleep(0.1)
    calls = len(server.requests)
    files = judgement_files(tmp_path)
    # Four at most are on their way.
    assert 1 <= len(files) < calls <= len(files) + 4 < 2 * NUM
    for path in files:
        Judgement.model_validate_json(path.read_bytes())
    assert judged(tmp_path, server.url).to_bytes() == recorded[1].to_bytes()
    assert len(server.requests) == calls + 2 * NUM - len(files)
    assert KEY.encode() not in b"".join(path.read_bytes() for path in files)
