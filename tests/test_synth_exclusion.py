"""Benchmark questions that no problem may hold."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from test_written_sets import have_written
from writer_server import problem, writer_server

from runtime.synth.exclusion import (
    digest_of_files,
    function_codes,
    read_excluded,
)
from runtime.synth.generate import synthesise
from runtime.synth.shard import read_shard
from specs.errors import InputError

HUMANEVAL = {
    "task_id": "X/0",
    "prompt": "from typing import List\n\ndef first(xs: List[int]) -> int:\n"
    '    """ Return the very first number of a list that anybody gave to you. """\n',
    "canonical_solution": "    total = xs[0]\n    return total\n",
    "entry_point": "first",
}
MBPP = {"task_id": 1, "text": "Short.", "code": "def add(a, b):\n  return a + b + 3\n"}


def questions(folder: Path, *rows: dict[str, object], name: str = "q.jsonl") -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["q.jsonl", "q.jsonl.gz"])
def test_words_and_solutions_of_questions_are_found(name: str, tmp_path: Path) -> None:
    excluded = read_excluded([questions(tmp_path, HUMANEVAL, MBPP, name=name)])
    # Ten words, however they are written.
    told = "return the VERY first number, of a list that: anybody"
    assert excluded.reason_against(told, "x = 1", "f") == "excluded n-gram"
    assert excluded.found_in(told.removeprefix("return")) is None
    for solution in (
        "def f(values):\n    'Doc.'\n    s = values[0]\n    return s\n",
        "import re\n\ndef f(one, two):\n    return one + two + 3\n",
    ):
        assert excluded.reason_against("", solution, "f") == "excluded solution"
    for solution in (
        "def f(a, b):\n    return a + b + 4\n",
        # A helper may be what a question asks for.
        "def g(a, b):\n    return a + b + 3\n\ndef f(a):\n    return g(a, a)\n",
    ):
        assert excluded.reason_against("", solution, "f") is None


def test_own_problem_with_the_solution_of_a_question_is_kept_out(
    tmp_path: Path,
) -> None:
    usual = {"count": 6, "seed": 2, "families": ["partition"], "sandbox": "process"}
    synthesise(tmp_path / "free", **usual)  # type: ignore[arg-type]
    first = read_shard(tmp_path / "free" / "synth-00000.jsonl.zst")[0]
    row = {"code": first["solution"]}
    made = synthesise(
        tmp_path / "kept",
        exclude=[questions(tmp_path, row, HUMANEVAL)],
        **usual,  # type: ignore[arg-type]
    )
    reasons = {reason for *_, reason in made.shards[0].rejected}
    assert reasons & {"excluded n-gram", "excluded solution"}
    kept = read_shard(tmp_path / "kept" / "synth-00000.jsonl.zst")
    codes = set(function_codes(first["solution"]))
    assert not [one for one in kept if codes & set(function_codes(one["solution"]))]


def test_problem_of_a_model_with_the_solution_of_a_question_is_kept_out(
    tmp_path: Path,
) -> None:
    # Under other names, so that few words are shared.
    code = problem(0)["solution"].replace("value", "x").replace("count", "y")
    rows = questions(tmp_path, {"code": code.replace("above_0", "f")})
    with writer_server(duplicate=1) as server:
        made = have_written(tmp_path / "set", server, count=1, exclude=(rows,))
    assert made.card["rejected"] == {"excluded solution": 3}


def test_files_are_told_from_others(tmp_path: Path) -> None:
    one, two = (
        questions(tmp_path, HUMANEVAL, name="a.jsonl"),
        questions(tmp_path, MBPP, name="b.jsonl"),
    )
    digests = [digest_of_files(paths) for paths in ((), (one,), (two,), (one, two))]
    assert digests[0] is None
    assert len(set(digests)) == 4


def test_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"a": "b"}\n[1]\n')
    with pytest.raises(InputError, match=r"bad.jsonl:2: must be a JSON object a line"):
        read_excluded([path])
    with pytest.raises(InputError, match="can't be read"):
        read_excluded([tmp_path / "missing.txt"])
