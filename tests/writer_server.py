"""A model over HTTP on loopback that writes problems, good ones and bad ones.

What it writes is a function of what it is asked, so that whoever asks again gets the
same. Each request for a problem is dealt a kind by its seed; a table says how often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from judge_server import KEY, JudgeServer

from runtime.chat.client import ChatClient, Connection
from specs.writer import Writer

WRITER: dict[str, Any] = {
    "codemix_writer": 1,
    "name": "made-up",
    "endpoint": {
        "model": "alias",
        "key_variable": "WRITER_API_KEY",
        "max_tokens": 2000,
        "retries": 3,
        "concurrency": 3,
    },
    "prices": {"prompt": 1.0, "completion": 4.0},
}


def problem(number: int, **changes: Any) -> dict[str, Any]:
    """A good problem, another one for each number."""
    return {
        "statement": f"Write `above_{number}(values)`, which takes a list of integers "
        f"and returns how many of them are greater than {number}; 0 for an empty list.",
        "entry": f"above_{number}",
        "solution": f"def above_{number}(values):\n    count = 0\n"
        f"    for value in values:\n        if value > {number}:\n"
        "            count += 1\n    return count\n",
        "random_input": "def random_input(rng):\n"
        "    size = rng.randint(0, 8)\n"
        f"    return ([{number} + rng.randint(-5, 5) for _ in range(size)],)\n",
        "edges": ["([],)", f"([{number}],)", f"([{number + 1}],)"],
        "tests": [
            f"assert above_{number}([]) == 0",
            f"assert above_{number}([{number}]) == 0",
            f"assert above_{number}([{number + 1}, {number}, {number + 9}]) == 2",
            f"assert above_{number}([{number + 1}]) == 1",
        ],
        **changes,
    }


def reference(number: int) -> str:
    return (
        "def reference(values):\n    left = sorted(values)\n"
        f"    while left and left[0] <= {number}:\n        left.pop(0)\n"
        "    return len(left)\n"
    )


def bad(kind: str, number: int) -> dict[str, Any]:
    """A problem with one fault."""
    good = problem(number)
    solution = good["solution"]
    call = f"{good['entry']}([1])"
    tests = good["tests"][:3]
    endless = solution.replace(
        "    return", "    while values:\n        pass\n    return"
    )
    return problem(number, **{
        "right": {},
        "duplicate": problem(0),
        "wrong": {"solution": solution.replace("> ", ">= ")},
        "tautology": {"tests": [*tests, f"assert {call} == {call}"]},
        "untrue": {"tests": [*tests, f"assert {call} == 5"]},
        "endless": {"solution": endless},
        "reaching": {"solution": "import os\n" + solution},
        "random": {"random_input": "def random_input(rng):\n    return ([],)\n"},
    }[kind])  # fmt: skip


class WriterServer(JudgeServer):
    """Deals kinds of problems to the requests for one, by their seeds."""

    def __init__(self, kinds: Mapping[str, int]) -> None:
        super().__init__()
        self.kinds = [kind for kind, times in kinds.items() for _ in range(times)]
        self.answer = self.write

    def write(self, question: str) -> str:
        seed = next(
            one["seed"]
            for one in reversed(self.requests)
            if one["messages"][-1]["content"] == question
        )
        if "Here is a programming problem" in question:
            number = int(question.split("`above_")[1].split("(")[0])
            source = reference(number)
            return "```json\n" + json.dumps({"reference": source}) + "\n```"
        kind = self.kinds[seed % len(self.kinds)]
        if kind == "malformed":
            return "Sure! Here is a problem: {"
        return json.dumps(bad(kind, 1 + seed % 10**6))

    def client(self, writer: Writer) -> ChatClient:
        return ChatClient(
            Connection(base_url=self.url, api_key=KEY),
            address=writer.endpoint,
            asked="the model",
            first_wait_seconds=0.001,
        )


@contextmanager
def writer_server(**kinds: int) -> Iterator[WriterServer]:
    server = WriterServer(kinds or {"right": 1})
    try:
        yield server
    finally:
        server.stop()


def writer(**changes: Any) -> Writer:
    endpoint = {**WRITER["endpoint"], **changes}
    return Writer.model_validate({**WRITER, "endpoint": endpoint})
