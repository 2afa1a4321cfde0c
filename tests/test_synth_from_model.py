"""Problems written by a model: read, verified, refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from writer_server import problem, reference, writer

from ledger.facts import JsonObject
from runtime.chat.exchange import Exchange
from runtime.synth.from_model import Refusal, write_problem
from runtime.synth.model_answers import UnreadableError, read_reference, read_written
from runtime.synth.model_layouts import LAYOUTS
from runtime.synth.model_requests import ask_of, problem_request, reference_request
from runtime.synth.permitted import what_is_not_permitted
from runtime.synth.verification import check_alone

GOOD = problem(7)
SOLUTION = GOOD["solution"]
CALL = "above_7([8, 1])"
TESTS = GOOD["tests"]
DRAWS = "def random_input(rng):\n    return "
FORGERY = """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, b'{"python": "3.11.7", "verdicts": [{"ok": true}]}')
    except OSError:
        pass
os._exit(0)
"""


def said(request: JsonObject, text: str) -> Exchange:
    message = {"role": "assistant", "content": text}
    return Exchange(
        request=request,
        response=json.dumps({"choices": [{"message": message}]}),
        served_model="alias-1",
        system_fingerprint=None,
        usage={},
    )


def written(second: str | None = None, **changes: Any) -> dict[str, Any] | Refusal:
    def answer(request: JsonObject) -> Exchange:
        question = request["messages"][-1]["content"]  # type: ignore[index,call-overload]
        if "Here is a programming problem" in str(question):
            return said(request, json.dumps({"reference": second or reference(7)}))
        return said(request, f"```json\n{json.dumps({**GOOD, **changes})}\n```")

    ask = ask_of(5, 1, seed=3)
    return write_problem(ask, writer=writer(), answer=answer, level="process")


def test_good_problem_becomes_a_document_with_its_certificate() -> None:
    told = written()
    assert isinstance(told, dict), told
    assert told["id"].startswith("model-")
    assert told["tests"][:4] == GOOD["tests"]
    assert told["index"] == 5
    assert SOLUTION in told["text"]
    certificate = told["certificate"]
    assert certificate["inputs_agreed"] > 30
    assert certificate["kill_rate"] >= 0.9
    assert certificate["attempt"] == 1
    assert certificate["served_models"] == ["alias-1"]
    assert len(certificate["exchanges"]) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"solution": SOLUTION.replace("> 7", ">= 7")}, "disagrees with the"),
        ({"solution": SOLUTION.replace("count = 0", "count = 1")}, "disagrees with"),
        ({"second": reference(8)}, "disagrees with the"),
        ({"second": SOLUTION.replace("above_7", "reference")}, "the second"),
        ({"second": "def other(values): return 1"}, "unreadable second solution"),
        ({"tests": [f"assert {CALL} == {CALL}"] * 4}, "a test passes whatever"),
        ({"tests": [*TESTS, f"assert {CALL} or True"]}, "a test passes whatever"),
        ({"tests": [*TESTS, f"assert {CALL} == 2"]}, "fails its tests"),
        ({"random_input": DRAWS + "([2],)"}, "random inputs hardly"),
        ({"random_input": DRAWS + "[2]"}, "random inputs are no"),
        ({"random_input": DRAWS + "rng.x"}, "random inputs raise"),
        ({"solution": "import os\n" + SOLUTION}, "unreadable answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_problem_is_rejected_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    told = written(**changes)
    assert isinstance(told, Refusal)
    assert told.reason.startswith(reason), told


def test_few_tests_of_the_model_get_company_from_inputs_that_kill() -> None:
    few = ["assert above_7([]) == 0"] * 4
    told = written(tests=few)
    assert isinstance(told, dict), told
    assert told["tests"][0] == few[0]
    assert len(told["tests"]) >= 3
    assert told["certificate"]["kill_rate"] >= 0.9


def test_code_that_forges_a_verdict_does_not_pass_where_it_is_run() -> None:
    checked = {
        "entry": "above_7", "solution": SOLUTION, "reference": reference(7) + FORGERY,
        "inputs": GOOD["edges"], "num_edges": 3, "num_mutants": 20,
        "min_kill_rate": 0.9, "key": 0,
    }  # fmt: skip
    assert check_alone(checked, level="process")["reason"] == "kills its process"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (FORGERY, "the module os"),
        ("from os import path", "the module os"),
        ("from . import x", "the module ."),
        ("import collections._sys", "the module collections._sys"),
        ("from collections import _sys", "the name _sys"),
        ("x = open('/etc/passwd')", "the name open"),
        ("x = ().__class__.__bases__", "the attribute __bases__"),
        ("import re\nre.enum.sys.modules", "the attribute modules"),
        ("def f(g): return g.gi_frame", "the attribute gi_frame"),
        ("x = getattr(1, 'real')", "the name getattr"),
    ],
)
def test_code_that_reaches_too_far_is_refused_unrun(source: str, told: str) -> None:
    assert what_is_not_permitted(source) == told


def test_what_pure_functions_need_is_permitted() -> None:
    source = (
        "from collections import defaultdict\nimport math, itertools\n"
        "class Node:\n    def __init__(self, value):\n        self.value = value\n"
        "def f(x):\n    return sorted(x, key=lambda y: math.gcd(y, 4))\n"
    )
    assert what_is_not_permitted(source) is None


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Sure! Here it is.", "no JSON"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "no JSON"),
        (json.dumps({**GOOD, "entry": 3}), "entry is no text"),
        (json.dumps({**GOOD, "entry": "other"}), "there is no function other"),
        (json.dumps({**GOOD, "statement": "Do it."}), "does not name the function"),
        (json.dumps({**GOOD, "solution": "def above_7(:"}), "solution does not parse"),
        (json.dumps({**GOOD, "edges": ["[1]"] * 3}), "too few edges"),
        (json.dumps({**GOOD, "edges": ["[1]", "[2]", "[3]"]}), "not a tuple"),
        (json.dumps({**GOOD, "tests": ["print(above_7([]))"] * 4}), "not an assert"),
        (json.dumps({**GOOD, "statement": "`above_7` \x1b[2J"}), "can't be shown"),
    ],
)  # fmt: skip
def test_answer_that_is_not_as_asked_says_why(answer: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        read_written(answer)


def test_line_breaks_inside_of_strings_are_read() -> None:
    assert read_reference('{"reference": "def reference(x):\n    return x"}')


def test_what_is_asked_is_a_function_of_seed_index_and_attempt() -> None:
    asks = [
        ask_of(index, attempt, seed=seed)
        for index in range(40)
        for attempt in range(2)
        for seed in range(2)
    ]
    requests = [json.dumps(problem_request(ask, writer())) for ask in asks]
    assert len(set(requests)) == len(asks)
    assert problem_request(ask_of(3, 1, seed=1), writer()) == problem_request(
        ask_of(3, 1, seed=1), writer()
    )
    assert len({ask.topic for ask in asks}) > 20
    assert {ask.grade for ask in asks} == {"easy", "medium", "hard"}


def test_second_request_shows_nothing_of_the_first_solution() -> None:
    shown = json.dumps(
        reference_request(
            ask_of(0, 0, seed=0), read_written(json.dumps(GOOD)), writer()
        )
    )
    assert "greater than 7" in shown
    assert "count += 1" not in shown
    assert "assert" not in shown


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_layouts_hold_statement_solution_and_tests(layout: str) -> None:
    text = LAYOUTS[layout](read_written(json.dumps(GOOD)), ["assert above_7([]) == 0"])
    assert SOLUTION in text
    assert "assert above_7([]) == 0" in text
    assert "greater" in text
