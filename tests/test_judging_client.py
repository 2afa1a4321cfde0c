"""What endpoints do wrong, and what becomes of it: tried again, told, never a key."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_server import (
    JUDGE,
    KEY,
    JudgeServer,
    client_of,
    comparison,
    judge_server,
    replies,
    write_judge,
)

from evals.judging.compare import compare_replies
from evals.judging.judgement import JudgementStore
from evals.judging.panel import JudgingProgress
from evals.judging.win_rate import WinRate
from runtime.chat.client import Connection, connection_of
from runtime.chat.pace import Pace, Stopped, back_off_seconds
from specs.errors import InputError, RunError
from specs.judge import Endpoint


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


def judged(
    folder: Path, server: JudgeServer, *, num: int = 3, judge: str = JUDGE
) -> WinRate:
    loaded = write_judge(folder, judge=judge)
    return compare_replies(
        comparison(replies("one", num=num), replies("two", num=num)),
        judge=loaded,
        store=JudgementStore(folder / "judgements"),
        client=client_of(loaded, server.url),
    )


def connected(endpoint: Endpoint, environ: dict[str, str]) -> Connection:
    return connection_of(
        endpoint, environ, asked="the judge", url_variable="CODEMIX_JUDGE_URL"
    )


def endpoint_with(line: str) -> str:
    return JUDGE.replace("  max_tokens: 8\n", f"  max_tokens: 8\n  {line}\n")


PASSING = (
    "status:429",
    "status:429:0",
    "status:503",
    "status:500",
    "reset",
    "cut",
    "malformed",
    "empty",
)


@pytest.mark.parametrize("fault", PASSING)
def test_trouble_that_passes_changes_nothing(
    fault: str, tmp_path: Path, server: JudgeServer
) -> None:
    without = judged(tmp_path / "without", server)
    calls = len(server.requests)
    server.faults.extend([fault, fault])
    assert judged(tmp_path / "with", server) == without
    assert len(server.requests) == 2 * calls + 2


def test_all_kinds_of_trouble_together_change_nothing(
    tmp_path: Path, server: JudgeServer
) -> None:
    without = judged(tmp_path / "without", server, num=20)
    server.faults.extend(PASSING)
    assert judged(tmp_path / "with", server, num=20) == without
    assert not server.faults


def test_a_call_that_hangs_is_made_again(tmp_path: Path, server: JudgeServer) -> None:
    server.faults.append("hang")
    begin = time.monotonic()
    judged(tmp_path, server, num=1, judge=endpoint_with("timeout_seconds: 0.2"))
    assert len(server.requests) == 3
    # The server lets go after 20 s by itself.
    assert time.monotonic() - begin < 15


def test_an_answer_that_trickles_is_cut_off_in_time(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.append("trickle")
    begin = time.monotonic()
    judged(tmp_path, server, num=1, judge=endpoint_with("timeout_seconds: 0.3"))
    # Whole, it would take 4 s; each of its bytes comes well in time.
    assert time.monotonic() - begin < 3
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("status:503", "HTTP 503"),
        ("reset", "no connection, or it was cut"),
        ("cut", "cut in the middle of the answer"),
        ("malformed", "cut, or no JSON"),
        ("empty", "no choices"),
    ],
)
def test_trouble_that_stays_ends_it_with_a_reason(
    fault: str, why: str, tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend([fault] * 100)
    judge = endpoint_with("retries: 2\n  concurrency: 1")
    with pytest.raises(InputError, match=rf"question 0, A's reply first: .*{why}") as e:
        judged(tmp_path, server, num=1, judge=judge)
    assert "(3 calls)" in str(e.value)
    assert KEY not in str(e.value)
    assert len(server.requests) == 3


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with judge_server() as gone:
        pass
    with pytest.raises(InputError, match="no connection"):
        judged(tmp_path, gone, judge=endpoint_with("retries: 1"))


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "see that JUDGE_API_KEY holds a key"),
        (403, "see that JUDGE_API_KEY holds a key"),
        (400, "correct what the file asks"),
        (404, "correct the address, or the model's name"),
        (302, "name the address that it redirects to"),
    ],
)
def test_a_refusal_ends_it_at_once_and_shows_no_key(
    status: int, fix: str, tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend([f"status:{status}"] * 100)
    judge = endpoint_with("concurrency: 1")
    with pytest.raises(InputError, match=f"HTTP {status}") as error:
        judged(tmp_path, server, judge=judge)
    assert fix in str(error.value)
    assert KEY not in str(error.value)
    assert len(server.requests) == 1


def test_a_server_may_not_ask_for_more_patience_than_there_is(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend(["status:429:86400"] * 10)
    with pytest.raises(InputError, match="left alone for 86400 s"):
        judged(tmp_path, server)


def test_an_answer_with_the_key_in_it_is_not_kept(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend(["echo"] * 10)
    with pytest.raises(InputError, match="repeats the API key") as error:
        judged(tmp_path, server)
    assert KEY not in str(error.value)
    assert_nowhere(tmp_path, KEY, least=0)


def test_the_key_is_sent_and_kept_nowhere(
    tmp_path: Path,
    server: JudgeServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Another login for the same host, which the library would rather send.
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ana password hunter2-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.faults.extend(PASSING)
    result = judged(tmp_path / "kept", server)
    assert set(server.authorizations) == {f"Bearer {KEY}"}
    assert_nowhere(tmp_path / "kept", KEY, least=6)
    assert KEY.encode() not in result.to_bytes()
    assert KEY not in "".join(capfd.readouterr())
    assert KEY not in repr(Connection(base_url=server.url, api_key=KEY))


def assert_nowhere(folder: Path, secret: str, *, least: int) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= least
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_judge_without_a_verdict_is_asked_again_with_another_seed(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.append("garbage")
    result = judged(tmp_path, server, num=1, judge=endpoint_with("concurrency: 1"))
    assert result.invalid == 0
    seeds = [request["seed"] for request in server.requests]
    assert seeds[0] == 0
    assert seeds[1] != 0
    assert server.requests[0]["messages"] == server.requests[1]["messages"]
    first, second = result.questions[0].output["judgements"]
    assert (len(first), len(second)) == (2, 1)


def test_few_prompts_without_a_verdict_are_counted_and_left_out(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend(["garbage"] * 2)
    judge = endpoint_with("concurrency: 1")
    result = judged(tmp_path, server, num=50, judge=judge)
    assert (result.invalid, result.prompts) == (1, 49)
    assert result.questions[0].values == {"invalid": 1.0}
    assert "score" in result.questions[1].values


def test_many_prompts_without_a_verdict_end_it_and_what_was_said_is_kept(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.answer = lambda _: "They are both fine."
    with pytest.raises(RunError, match="no verdict on 5 of 5 prompts, more than 2%"):
        judged(tmp_path, server, num=5)
    assert len(list((tmp_path / "judgements").rglob("*.json"))) == 20


def test_calls_on_their_way_are_bounded_and_do_go_out_together(
    tmp_path: Path, server: JudgeServer
) -> None:
    server.faults.extend(["slow"] * 12)
    judged(tmp_path, server, num=6, judge=endpoint_with("concurrency: 3"))
    assert server.most_at_once == 3


def test_order_of_the_answers_changes_no_byte(
    tmp_path: Path, server: JudgeServer
) -> None:
    one = judged(
        tmp_path / "one", server, num=12, judge=endpoint_with("concurrency: 1")
    )
    server.faults.extend(["none", "slow", "slow", "none", "status:500", "none"] * 4)
    many = judged(
        tmp_path / "many", server, num=12, judge=endpoint_with("concurrency: 8")
    )
    assert server.most_at_once > 1
    assert many.to_bytes() == one.to_bytes()


def test_progress_counts_every_question_to_the_judge(
    tmp_path: Path, server: JudgeServer
) -> None:
    judge = write_judge(tmp_path)
    told: list[JudgingProgress] = []
    compare_replies(
        comparison(replies("one", num=4), replies("two", num=4)),
        judge=judge,
        store=JudgementStore(tmp_path / "judgements"),
        progress=told.append,
        client=client_of(judge, server.url),
    )
    assert [one.done for one in told] == list(range(1, 9))
    assert {one.total for one in told} == {8}


def test_what_else_a_listener_raises_stops_the_calls(
    tmp_path: Path, server: JudgeServer
) -> None:
    judge = write_judge(tmp_path, judge=endpoint_with("concurrency: 2"))

    def interrupt(progress: JudgingProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_replies(
            comparison(replies("one", num=50), replies("two", num=50)),
            judge=judge,
            store=JudgementStore(tmp_path / "judgements"),
            progress=interrupt,
            client=client_of(judge, server.url),
        )
    assert len(server.requests) < 50


def test_where_to_ask_comes_from_the_variable_first(tmp_path: Path) -> None:
    text = endpoint_with("base_url: http://127.0.0.1:1/v1/")
    endpoint = write_judge(tmp_path, judge=text).spec.endpoint
    assert endpoint is not None
    environ = {"JUDGE_API_KEY": KEY}
    assert connected(endpoint, environ).base_url == "http://127.0.0.1:1/v1"
    environ["CODEMIX_JUDGE_URL"] = "http://127.0.0.1:2/v1"
    assert connected(endpoint, environ).base_url == "http://127.0.0.1:2/v1"


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"JUDGE_API_KEY": KEY}, "no address to ask the judge at"),
        ({"CODEMIX_JUDGE_URL": "http://127.0.0.1/v1"}, "JUDGE_API_KEY: no API key"),
        (
            {"CODEMIX_JUDGE_URL": f"http://ana:{KEY}@127.0.0.1/v1"},
            "CODEMIX_JUDGE_URL: must not hold a user",
        ),
        ({"CODEMIX_JUDGE_URL": "ftp://127.0.0.1"}, "begins with http:// or https://"),
    ],
)
def test_what_is_missing_to_ask_is_named(
    environ: dict[str, str], what: str, tmp_path: Path
) -> None:
    endpoint = write_judge(tmp_path).spec.endpoint
    assert endpoint is not None
    with pytest.raises(InputError, match=what) as error:
        connected(endpoint, environ)
    assert KEY not in str(error.value)


def test_calls_begin_at_the_pace_that_is_asked_for() -> None:
    pace = Pace(6000)
    begin = time.monotonic()
    for _ in range(11):
        pace.wait_for_turn()
    assert time.monotonic() - begin >= 0.1


def test_a_held_pace_lets_nobody_begin_until_then() -> None:
    pace = Pace(None)
    pace.hold(0.1)
    begin = time.monotonic()
    pace.wait_for_turn()
    assert time.monotonic() - begin >= 0.1


def test_a_stopped_pace_lets_waiting_calls_end() -> None:
    pace = Pace(None)
    pace.hold(60)
    threading.Timer(0.05, pace.stop).start()
    with pytest.raises(Stopped):
        pace.wait_for_turn()


def test_back_off_grows_and_differs_between_calls() -> None:
    waits = [back_off_seconds("one", attempt, first=0.5) for attempt in range(20)]
    for attempt, wait in enumerate(waits):
        whole = min(60.0, 0.5 * 2**attempt)
        assert whole / 2 <= wait <= whole
    assert waits[:3] != [back_off_seconds("two", n, first=0.5) for n in range(3)]
    assert waits == [back_off_seconds("one", n, first=0.5) for n in range(20)]
