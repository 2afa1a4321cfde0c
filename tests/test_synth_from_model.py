"""Problems written by a model: read, verified, refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.synth.from_model import (
    Messages,
    UnreadableError,
    read_answer,
    write_problem,
)

ANSWER: dict[str, Any] = {
    "statement": "Write `second_largest(values)`, which returns the second largest "
    "different number of a list, or None if there is none.",
    "entry": "second_largest",
    "solution": "def second_largest(values):\n    found = sorted(set(values))\n"
    "    if len(found) < 2:\n        return None\n    return found[-2]\n",
    "reference": "def reference(values):\n    for v in values:\n"
    "        larger = {w for w in values if w > v}\n"
    "        if len(larger) == 1:\n            return v\n    return None\n",
    "inputs": [f"({values},)" for values in (
        [], [1], [1, 1], [2, 1], [1, 2, 3], [5, 5, 4], [-1, -2], [0, 9, 9, 3],
        [7, 6, 5, 4], [3, 3, 3, 2, 2], [10, -10, 0],
    )],
    "tests": [
        "assert second_largest([1, 2, 3]) == 2", "assert second_largest([4]) is None",
        "assert second_largest([5, 5, 4]) == 4", "assert second_largest([2, 1]) == 1",
        "assert second_largest([]) is None",
    ],
}  # fmt: skip


SOLUTION = ANSWER["solution"]
ENTRY = "second_largest"
CALL = "second_largest([1, 2])"
FORGERY = """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, b'{"python": "3.11.7", "verdicts": [{"ok": true}]}')
    except OSError:
        pass
os._exit(0)
"""


def written(**changes: Any) -> dict[str, Any]:
    asked: list[Messages] = []

    def complete(messages: Messages) -> str:
        asked.append(messages)
        return "```json\n" + json.dumps({**ANSWER, **changes}) + "\n```"

    told = write_problem(complete, topic="lists", grade="easy", level="process")
    assert "about lists, of easy difficulty" in asked[0][0]["content"]
    return told


def test_good_problem_becomes_a_document_with_its_certificate() -> None:
    told = written()
    assert told["id"].startswith("model-")
    assert told["tests"] == ANSWER["tests"]
    assert told["certificate"]["inputs_agreed"] == len(ANSWER["inputs"])
    assert told["certificate"]["kill_rate"] >= 0.9
    assert ANSWER["solution"] in told["text"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"solution": SOLUTION.replace("[-2]", "[-1]")}, "disagrees with the"),
        ({"tests": ["assert second_largest([]) == None"] * 3}, "tests kill"),
        ({"tests": [f"assert {CALL} == {CALL}"] * 3}, "tests kill"),
        ({"tests": ["assert second_largest([1, 2]) == 2"] * 3}, "fails its tests"),
        ({"reference": SOLUTION.replace(ENTRY, "reference")}, "the reference"),
        ({"reference": ANSWER["reference"] + FORGERY}, "kills its process"),
        ({"inputs": ["[1]"] * 20}, "unreadable answer"),
        ({"tests": ["print(second_largest([]))"] * 3}, "unreadable answer"),
    ],
)  # fmt: skip
def test_bad_problem_is_rejected_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    assert written(**changes)["rejected"].startswith(reason)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Sure! Here it is.", "no JSON"),
        ("[1]", "no JSON object"),
        (json.dumps({**ANSWER, "entry": 3}), "entry is no text"),
        (json.dumps({**ANSWER, "entry": "other"}), "solution does not define other"),
        (json.dumps({**ANSWER, "statement": "Do it."}), "does not name the function"),
    ],
)
def test_answer_that_is_not_as_asked_says_why(answer: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        read_answer(answer)
