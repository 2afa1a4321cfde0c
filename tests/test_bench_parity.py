"""What the comparison with stock lm-eval calls a difference."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from imports import ROOT

sys.path.insert(0, str(ROOT))

from bench.parity import compare


def ours(likelihoods: list[float], accuracy: float) -> dict[str, Any]:
    output = {"log_likelihoods": likelihoods}
    return {"id": "0", "output": output, "values": {"accuracy": accuracy}}


def theirs(likelihoods: list[float], accuracy: float) -> dict[str, Any]:
    answers = [[[str(one), "False"]] for one in likelihoods]
    return {"doc": {"id": "0"}, "resps": answers, "acc": accuracy}


@pytest.mark.parametrize(
    ("mine", "other", "is_same", "ties", "problems"),
    [
        (ours([-1.0, -2.0], 1.0), theirs([-1.00001, -2.0], 1.0), True, 0, 0),
        (ours([-1.0, -2.0], 1.0), theirs([-1.01, -2.0], 1.0), True, 0, 1),
        (ours([-1.0, -1.00001], 1.0), theirs([-1.00001, -1.0], 0.0), False, 1, 0),
        (ours([-1.0, -1.0005], 1.0), theirs([-1.0001, -1.0], 0.0), False, 1, 0),
        (ours([-1.0, -2.0], 1.0), theirs([-2.0, -1.0], 0.0), False, 0, 2),
        (ours([-1.0, -2.0], 1.0), theirs([-1.0, -2.0], 0.0), True, 0, 1),
    ],
    ids=["rounding", "too far", "tie", "near tie", "other", "right for one"],
)
def test_choice_is_the_same_a_tie_or_a_problem(
    mine: Any, other: Any, is_same: bool, ties: int, problems: int
) -> None:
    found = compare("x", [mine], [other])
    assert (found.same, found.ties) == (int(is_same), ties)
    assert len(found.problems) == problems


def test_other_questions_are_a_problem() -> None:
    other = {**theirs([-1.0], 1.0), "doc": {"id": "1"}}
    assert compare("x", [ours([-1.0], 1.0)], [other]).problems


def test_texts_may_differ_and_verdicts_may_not() -> None:
    mine = {"id": "0", "output": {"texts": ["a b"]}, "values": {"exact_match": 0.0}}
    other = {"doc": {"id": "0"}, "resps": [["a c"]], "exact_match": 0.0}
    found = compare("x", [mine], [other])
    assert (found.same, found.problems) == (0, [])
    assert compare("x", [mine], [{**other, "exact_match": 1.0}]).problems
