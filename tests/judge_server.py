"""A judge over HTTP on loopback, biased as judges are, and as unreliable as asked.

What it says is a function of what it is asked: by chance keyed by the text it prefers
the first answer to 65%, the longer one more often, and the one that says `good` more
often. Faults are put on a list; each of the next requests takes one of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from evals.judging.compare import compare_replies
from evals.judging.judge import LoadedJudge, load_judge
from evals.judging.judgement import JudgementStore
from evals.judging.panel import Mode
from evals.judging.replies import Comparison, pair_replies
from evals.judging.win_rate import WinRate
from runtime.chat.client import ChatClient, Connection

TEMPLATE = "{{ instruction }}\n<A>{{ answer_a }}</A>\n<B>{{ answer_b }}</B>\n"
JUDGE = """\
codemix_judge: 1
name: biased
version: 1
template: judge.jinja
endpoint:
  model: alias
  key_variable: JUDGE_API_KEY
  max_tokens: 8
  verdict: {a: 'Verdict: \\[\\[A\\]\\]', b: 'Verdict: \\[\\[B\\]\\]'}
"""
KEY = "key-correct-horse-battery"
FIRST = math.log(0.65 / 0.35)
PER_CHARACTER = 1 / 400
PER_GOOD = 1.5

Answer = Callable[[str], str]


def biased_verdict(question: str) -> str:
    """Prefer one answer, by what the question holds alone."""
    found = re.search(r"<A>(.*)</A>\n<B>(.*)</B>", question, re.DOTALL)
    assert found is not None, question
    first, second = found.groups()
    logit = FIRST + PER_CHARACTER * max(-400, min(400, len(first) - len(second)))
    logit += PER_GOOD * (first.count("good") - second.count("good"))
    chance = int(hashlib.sha256(question.encode()).hexdigest()[:8], 16) / 2**32
    side = "A" if chance < 1 / (1 + math.exp(-logit)) else "B"
    return f"Both have merits.\nVerdict: [[{side}]]"


class JudgeServer:
    """The server, what it was asked, and what it is going to do wrong."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.faults: deque[str] = deque()
        self.answer: Answer = biased_verdict
        self.model = "alias-2024-06"
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.hanging = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Sent piece by piece, each answer would wait for an acknowledgement.
            wbufsize = 65536

            def do_POST(self) -> None:
                owner.handle(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        request = json.loads(data)
        with self._lock:
            self.requests.append(request)
            self.authorizations.append(handler.headers["Authorization"])
            fault = self.faults.popleft() if self.faults else "none"
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._reply(handler, request, fault)
        finally:
            with self._lock:
                self._at_once -= 1

    def _reply(
        self, handler: BaseHTTPRequestHandler, request: dict[str, Any], fault: str
    ) -> None:
        kind, _, detail = fault.partition(":")
        if kind == "hang":
            self.hanging.wait(20)
            handler.close_connection = True
            return
        if kind == "slow":
            time.sleep(0.05)
        if kind == "trickle":
            _trickle(handler)
            return
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
            handler.close_connection = True
            return
        if kind == "status":
            status, _, wait = detail.partition(":")
            headers = {"Retry-After": wait} if wait else {}
            if status.startswith("3"):
                headers["Location"] = "/v1/elsewhere"
            error = {"error": {"message": f"no: {KEY} " + "x" * 300}}
            _send(handler, int(status), json.dumps(error).encode(), headers)
            return
        content = self.answer(request["messages"][-1]["content"])
        choices = [{"index": 0, "message": {"role": "assistant", "content": content}}]
        body: dict[str, Any] = {
            "id": "1",
            "model": self.model,
            "system_fingerprint": "fp_1",
            "choices": [] if kind == "empty" else choices,
            "usage": {"prompt_tokens": 90, "completion_tokens": 8, "total_tokens": 98},
        }
        if kind == "garbage":
            choices[0]["message"] = {"role": "assistant", "content": "I can't say."}
        if kind == "echo":
            body["headers"] = {"Authorization": f"Bearer {KEY}"}
        text = "{" if kind == "malformed" else json.dumps(body)
        cut = 40 if kind == "cut" else None
        _send(handler, 200, text.encode(), {}, cut=cut)

    def stop(self) -> None:
        self.hanging.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "80")
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        for _ in range(80):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str],
    *,
    cut: int | None = None,
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:cut])
    handler.close_connection = cut is not None


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    server = JudgeServer()
    try:
        yield server
    finally:
        server.stop()


def write_judge(folder: Path, *, judge: str = JUDGE) -> LoadedJudge:
    """Put a judge file and its template into a folder, and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "judge.yaml").write_text(judge, "utf-8")
    (folder / "judge.jinja").write_text(TEMPLATE, "utf-8")
    return load_judge(folder / "judge.yaml", shown_as="judge.yaml")


def client_of(judge: LoadedJudge, url: str) -> ChatClient:
    """A client that is as quick to try again as a test wants it."""
    endpoint = judge.spec.endpoint
    assert endpoint is not None
    connection = Connection(base_url=url, api_key=KEY)
    return ChatClient(
        connection, address=endpoint, asked="the judge", first_wait_seconds=0.001
    )


def comparison(a: Sequence[str], b: Sequence[str]) -> Comparison:
    """Two lists of replies to as many questions."""
    ids = [str(index) for index in range(len(a))]
    return Comparison(
        task="dolly",
        task_fingerprint="0" * 64,
        a="model-a",
        b="model-b",
        pairs=pair_replies(
            {one: f"Question {one}?" for one in ids},
            a=dict(zip(ids, a, strict=True)),
            b=dict(zip(ids, b, strict=True)),
        ),
    )


def replies(
    name: str, *, num: int = 200, extra_characters: int = 0, good: float = 0.0
) -> list[str]:
    """Replies of lengths around 600, some of them good, by chance keyed by a name."""
    found = []
    for index in range(num):
        digest = hashlib.sha256(f"{name} {index}".encode()).digest()
        length = 100 + int.from_bytes(digest[:2], "little") % 1000 + extra_characters
        word = "good" if digest[2] / 256 < good else "fine"
        found.append(f"{name} {word} ".ljust(length, "."))
    return found


NUM = 10
COMPARED = comparison(replies("one", num=NUM), replies("two", num=NUM))


def judged(
    folder: Path,
    url: str | None = None,
    mode: Mode = "record",
    compared: Comparison = COMPARED,
) -> WinRate:
    """Compare in a folder; without an address nobody can be asked."""
    judge = write_judge(folder)
    return compare_replies(
        compared,
        judge=judge,
        store=JudgementStore(folder / "judgements"),
        mode=mode,
        client=client_of(judge, url or "http://127.0.0.1:1/v1"),
    )
