"""Sets that a model writes over HTTP: kept, replayed, within a budget, resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from writer_server import KEY, WRITER, WriterServer, writer, writer_server

from codemix_cli.main import cli
from runtime.sandbox.probe import probe
from runtime.synth import written_set
from runtime.synth.shard import read_shard
from runtime.synth.written_set import Commission, WrittenSet, write_set
from specs.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
MANY = {
    "right": 4, "duplicate": 2, "wrong": 1, "tautology": 1, "untrue": 1, "endless": 1,
    "reaching": 1, "random": 1, "malformed": 1,
}  # fmt: skip


def have_written(
    folder: Path, server: WriterServer | None, *, count: int = 6, **changes: Any
) -> WrittenSet:
    usual = {"writer": writer(), "seed": 1, "sandbox": "process"}
    commission = Commission(count=count, **{**usual, **changes})
    client = None if server is None else server.client(commission.writer)
    return write_set(folder, commission, client=client)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def problems(folder: Path) -> list[dict[str, Any]]:
    return [one for path in sorted(folder.glob("*.zst")) for one in read_shard(path)]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_set, "PROBLEMS_PER_SHARD", 10)


def test_every_kind_of_fault_is_caught_and_counted(tmp_path: Path) -> None:
    with writer_server(**MANY) as server:
        made = have_written(tmp_path / "set", server, count=30)
    rejected = made.card["rejected"]
    assert set(rejected) == {
        "a test passes whatever the function returns",
        "disagrees with the reference",
        "fails its tests",
        "random inputs hardly differ",
        "too many steps",
        "unreadable answer",
    }
    assert made.card["num_duplicates"] >= 3
    kept = problems(tmp_path / "set")
    assert len(kept) == made.card["num_problems"] >= 15
    assert len({one["statement"] for one in kept}) == len(kept)
    for one in kept:
        number = one["entry"].split("_")[1]
        assert f"> {number}:" in one["solution"]
    told = 30 - made.card["num_given_up"] - made.card["num_duplicates"]
    assert made.card["num_problems"] == told


def test_card_tells_tokens_and_cost(tmp_path: Path) -> None:
    with writer_server() as server:
        made = have_written(tmp_path / "set", server, count=3)
    assert made.card["model"] == {
        "writer": "made-up", "answers": 6, "uncounted": 0, "prompt_tokens": 540,
        "completion_tokens": 48, "served_models": ["alias-2024-06"],
        "cost": (540 + 4 * 48) / 1e6,
    }  # fmt: skip
    text = (tmp_path / "set" / "README.md").read_text()
    assert "3 problems of a model, made by alias and verified by codemix" in text
    assert "| tokens of requests | 540 |" in text
    assert json.loads((tmp_path / "set" / "card.json").read_text())["model"]["answers"]


def test_replay_asks_nobody_and_makes_the_same_bytes(tmp_path: Path) -> None:
    with writer_server(**MANY) as server:
        have_written(tmp_path / "first", server, count=12)
        calls = len(server.requests)
        assert have_written(tmp_path / "first", server, count=12).num_calls == 0
        assert len(server.requests) == calls
    shutil.copytree(tmp_path / "first" / "exchanges", tmp_path / "again" / "exchanges")
    made = have_written(
        tmp_path / "again", None, count=12, is_replay=True, num_workers=2
    )
    assert made.num_calls == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "first")


def test_replay_of_what_was_never_asked_is_refused(tmp_path: Path) -> None:
    with writer_server() as server:
        have_written(tmp_path / "set", server, count=4)
    with pytest.raises(InputError, match="kept for the first 4 of 6 problems"):
        have_written(tmp_path / "set", None, count=6, is_replay=True)


def test_changed_request_is_found(tmp_path: Path) -> None:
    with writer_server() as server:
        have_written(tmp_path / "set", server, count=2)
    path = next((tmp_path / "set" / "exchanges").rglob("*.json"))
    path.write_bytes(path.read_bytes().replace(b'"seed"', b'"sead"'))
    (tmp_path / "set" / "records" / "written-00000.json").unlink()
    with pytest.raises(InputError, match="exchange was changed"):
        have_written(tmp_path / "set", None, count=2, is_replay=True)


@pytest.mark.parametrize(
    "fault", ["status:429:0", "status:500", "reset", "cut", "slow"]
)
def test_trouble_that_passes_changes_no_byte(fault: str, tmp_path: Path) -> None:
    with writer_server() as server:
        have_written(tmp_path / "without", server)
        server.faults.extend([fault, "none", fault])
        have_written(tmp_path / "with", server)
        assert not server.faults
    assert contents(tmp_path / "with") == contents(tmp_path / "without")


def test_model_that_dies_midway_is_told_and_gone_on_with(tmp_path: Path) -> None:
    with writer_server(**MANY) as server:
        have_written(tmp_path / "straight", server, count=14)
        server.faults.extend(["none"] * 13 + ["status:500"] * 100)
        with pytest.raises(InputError, match=r"the model can't be asked: .*HTTP 500"):
            have_written(tmp_path / "cut", server, count=14)
        assert 10 < len(list((tmp_path / "cut" / "exchanges").rglob("*.json"))) < 30
        server.faults.clear()
        kept = len(list((tmp_path / "cut" / "exchanges").rglob("*.json")))
        made = have_written(tmp_path / "cut", server, count=14)
    assert made.num_calls + kept == made.card["model"]["answers"]
    assert contents(tmp_path / "cut") == contents(tmp_path / "straight")


def test_interruption_stops_the_calls_and_loses_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    commission = Commission(writer=writer(), count=10, seed=1, sandbox="process")
    with writer_server() as server:
        with pytest.raises(KeyboardInterrupt):
            write_set(
                tmp_path / "cut",
                commission,
                client=server.client(commission.writer),
                moved=interrupt,
            )
        asked = len(server.requests)
        assert asked < 20
        kept = len(list((tmp_path / "cut" / "exchanges").rglob("*.json")))
        assert kept == asked
        have_written(tmp_path / "cut", server, count=10)
        assert len(server.requests) == 20


def test_budget_ends_the_asking_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with writer_server() as server:
        have_written(tmp_path / "straight", server, count=9)
        calls = len(server.requests)
        with pytest.raises(InputError, match="the budget is spent") as error:
            have_written(tmp_path / "cut", server, count=9, budget_tokens=700)
        # 98 tokens each: eight calls reach 700, those on their way with them may end.
        assert 8 <= len(server.requests) - calls <= 8 + 4
        assert "raise --budget" in str(error.value)
        have_written(tmp_path / "cut", server, count=9, budget_tokens=10**6)
    assert contents(tmp_path / "cut") == contents(tmp_path / "straight")


def test_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    with writer_server() as server:
        have_written(tmp_path / "straight", server, count=16)
        calls = len(server.requests)
        server.faults.extend(["slow"] * 200)
        script = (
            f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
            "from pathlib import Path\nfrom runtime.chat.client import *\n"
            "from runtime.synth import written_set\nfrom writer_server import *\n"
            "written_set.PROBLEMS_PER_SHARD = 10\nclient = ChatClient(Connection("
            f"base_url={server.url!r}, api_key=KEY), address=writer().endpoint, "
            "asked='the model')\nwritten_set.write_set("
            f"Path({str(tmp_path / 'killed')!r}), written_set.Commission("
            "writer=writer(), count=16, seed=1, sandbox='process'), client=client)"
        )
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        deadline = time.monotonic() + 60
        while len(server.requests) < calls + 14 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.faults.clear()
        # As a kill between an answer's bytes and its name leaves it.
        (tmp_path / "killed" / "exchanges" / ".ab.json.0f.tmp").write_bytes(b"half")
        asked = len(server.requests) - calls
        made = have_written(tmp_path / "killed", server, count=16)
    # Only the calls on their way were lost.
    assert made.num_calls <= 32 - asked + 4
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


def test_larger_count_adds_and_another_writer_is_refused(tmp_path: Path) -> None:
    with writer_server(**MANY) as server:
        have_written(tmp_path / "straight", server, count=14)
        have_written(tmp_path / "grown", server, count=5)
        have_written(tmp_path / "grown", server, count=14)
        with pytest.raises(InputError, match="writer of this set is"):
            have_written(
                tmp_path / "grown", server, count=14, writer=writer(temperature=0.1)
            )
        # How patiently it is asked changes nothing.
        have_written(tmp_path / "grown", server, count=14, writer=writer(concurrency=1))
    assert contents(tmp_path / "grown") == contents(tmp_path / "straight")


def test_excluded_ngrams_are_kept_out(tmp_path: Path) -> None:
    ngrams = tmp_path / "ngrams.txt"
    ngrams.write_text("greater than\n")
    with writer_server() as server:
        made = have_written(tmp_path / "set", server, count=2, exclude=(ngrams,))
    assert made.card["rejected"] == {"excluded n-gram": 6}
    assert made.card["num_given_up"] == 2
    assert problems(tmp_path / "set") == []


def test_command_asks_with_the_key_of_the_environment_and_keeps_it_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(probe("bubblewrap"), "facts"):
        pytest.skip("this machine has no bubblewrap that holds")
    file, out = tmp_path / "writer.yaml", tmp_path / "set"
    with file.open("w") as opened:
        YAML().dump(WRITER, opened)
    arguments = ["data", "write", str(file), "--count", "3", "--out", str(out)]
    with writer_server() as server:
        monkeypatch.setenv("CODEMIX_WRITER_URL", server.url)
        missing = CliRunner().invoke(cli, arguments)
        assert missing.exit_code == 4
        assert "WRITER_API_KEY: no API key for the model" in missing.stderr
        monkeypatch.setenv("WRITER_API_KEY", KEY)
        shown = CliRunner().invoke(cli, [*arguments, "--json", "--budget", "1M"])
        assert shown.exit_code == 0, shown.output
        assert set(server.authorizations) == {f"Bearer {KEY}"}
    told = json.loads(shown.stdout)
    assert (told["num_problems"], told["calls"]) == (3, 6)
    monkeypatch.delenv("WRITER_API_KEY")
    again = CliRunner().invoke(cli, [*arguments, "--replay"])
    assert again.exit_code == 0, again.output
    assert "asked     0 now, 6 in all" in again.stdout
    assert not [
        p for p in out.rglob("*") if p.is_file() and KEY in p.read_text("latin")
    ]
    assert CliRunner().invoke(cli, [*arguments, "--budget", "much"]).exit_code == 2
    file.write_text(file.read_text().replace("model:", "modle:"))
    wrong = CliRunner().invoke(cli, arguments)
    assert wrong.exit_code == 3
    assert "did you mean 'model'" in wrong.stderr
